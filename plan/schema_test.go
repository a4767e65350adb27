package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

// schemaObject is the part of a schema that the tests look at.
type schemaObject struct {
	Description string                  `json:"description"`
	Ref         string                  `json:"$ref"`
	Properties  map[string]schemaObject `json:"properties"`
	Required    []string                `json:"required"`
	OneOf       []schemaObject          `json:"oneOf"`
	Default     any                     `json:"default"`
}

func schemaObjects(t *testing.T) map[string]schemaObject {
	t.Helper()
	var root struct {
		Schema string                  `json:"$schema"`
		Defs   map[string]schemaObject `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if root.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", root.Schema)
	}
	// {env: NAME} is one of the two forms of a value.
	for _, form := range root.Defs["value"].OneOf {
		if form.Properties != nil {
			form.Description = root.Defs["value"].Description
			root.Defs["value"] = form
		}
	}
	return root.Defs
}

// TestSchemaIsTheLoader loads a file with every kind of object and compares the keys that the loader
// knows in each with those of the schema, both ways.
func TestSchemaIsTheLoader(t *testing.T) {
	d := newDecoder("everything.yaml", []byte(read(t, "testdata/good/everything.yaml")))
	d.load([]byte(strings.Join(d.lines, "\n")))
	schema := schemaObjects(t)
	for name, fields := range d.objects {
		var required []string
		for _, f := range fields {
			if f.required {
				required = append(required, f.key)
			}
		}
		equalSets(t, "keys of "+name, keys(fields), slices.Collect(maps.Keys(schema[name].Properties)))
		equalSets(t, "required keys of "+name, required, schema[name].Required)
	}
	for name, object := range schema {
		if object.Properties != nil && d.objects[name] == nil {
			t.Errorf("the schema's %s is no object of the loader, or not in everything.yaml", name)
		}
		for key, property := range object.Properties {
			if property.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
			if target, ok := strings.CutPrefix(property.Ref, "#/$defs/"); property.Ref != "" && (!ok || schema[target].Description == "") {
				t.Errorf("%s.%s refers to %s", name, key, property.Ref)
			}
		}
	}
}

// TestSchemaKinds: exactly the kinds of steps are alternatives in the schema.
func TestSchemaKinds(t *testing.T) {
	var inSchema []string
	for _, form := range schemaObjects(t)["step"].OneOf {
		inSchema = append(inSchema, form.Required...)
	}
	d := newDecoder("", nil)
	equalSets(t, "kinds", keys(d.kinds(&Step{})), inSchema)
}

// TestSchemaDefaults: the defaults that editors show are the ones that the loader fills in.
func TestSchemaDefaults(t *testing.T) {
	schema := schemaObjects(t)
	d := newDecoder("", nil)
	null := ast.Null(nil)
	for name, loaded := range map[string]any{
		"error_rate": d.errorRate(null), "no_logs": d.noLogs(null), "approval": (&approvalOverlay{}).over(nil),
	} {
		text, err := json.Marshal(loaded)
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if err := json.Unmarshal(text, &values); err != nil {
			t.Fatal(err)
		}
		for key, property := range schema[name].Properties {
			want := property.Default
			if want == "60s" {
				want = "1m"
			}
			if want != nil && values[key] != want {
				t.Errorf("%s.%s is %v by default, the schema says %v", name, key, values[key], want)
			}
		}
	}
}

func equalSets(t *testing.T, what string, loader, schema []string) {
	t.Helper()
	slices.Sort(loader)
	slices.Sort(schema)
	if !slices.Equal(loader, schema) {
		t.Errorf("%s: the loader has %v, the schema %v", what, loader, schema)
	}
}
