package plan

import (
	"slices"
	"strings"
	"testing"
)

func TestIdentityByAccount(t *testing.T) {
	f := mustLoad(t, read(t, "testdata/good/everything.yaml"))
	ci := f.Identity("CI@netra-staging.iam.gserviceaccount.com")
	if ci == nil || ci.Robot != "ci" || !slices.Equal(ci.May, []string{"deploy", "status"}) || !slices.Equal(ci.Groups, []string{"@backend"}) {
		t.Errorf("the robot is %+v", ci)
	}
	if person := f.Identity("oncall@example.com"); person == nil || person.Slack != "U012AB3CD" {
		t.Errorf("the person is %+v", person)
	}
	if nobody := f.Identity("ci"); nobody != nil {
		t.Errorf("half an address is %+v", nobody)
	}
}

// What is allowed and likely not meant gets a word.
func TestIdentityWarnings(t *testing.T) {
	src := read(t, "testdata/good/everything.yaml")
	for want, change := range map[string][2]string{
		"may approve rollouts": {"may: [deploy, status]", "may: [deploy, approve]"},
		"acts as that person":  {"oncall@example.com", "oncall@netra-staging.iam.gserviceaccount.com"},
	} {
		given := strings.ReplaceAll(src, change[0], change[1])
		heard := func(f *File) bool {
			return slices.ContainsFunc(f.Warnings, func(w Error) bool { return strings.Contains(w.Message, want) })
		}
		if !heard(mustLoad(t, given)) {
			t.Errorf("no warning that it %s", want)
		}
		if heard(mustLoad(t, src)) {
			t.Errorf("a warning without cause: %s", want)
		}
	}
}

// The words of may in the schema are the loader's.
func TestSchemaAbilities(t *testing.T) {
	for _, word := range Abilities() {
		if !strings.Contains(string(Schema()), "              \""+word+"\"") {
			t.Errorf("the schema does not know %s", word)
		}
	}
}
