package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// floors are the packages by the floor they are on. Imports go down only, never sideways: what the
// product is made of can be read from the bottom up. Everything below sandbox/ stands outside, and
// nothing of the product may import it.
var floors = map[string]int{
	"verdict": 0, "plan": 0,
	"rollout": 1, "incident": 1,
	"state": 2, "gcp": 2, "probe": 2, "notify": 2, "commands": 2, "chart": 2,
	"bot": 3,
	"app": 4,
	"":    5,
}

// slackPackage may be imported by bot alone.
const slackPackage = "github.com/slack-go/slack"

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "slipway"), "/")
		inSandbox := strings.HasPrefix(name, "sandbox")
		floor, known := floors[name]
		if !known && !inSandbox {
			t.Errorf("package %s is on no floor: give it one in ARCHITECTURE.md and here", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if strings.HasPrefix(path, slackPackage) && name != "bot" {
				t.Errorf("%s imports %s; only bot may", p.ImportPath, path)
			}
			imported, ours := strings.CutPrefix(path, "slipway/")
			if !ours || inSandbox {
				continue
			}
			if below, ok := floors[imported]; !ok || below >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d); imports go down only", p.ImportPath, floor, path, below)
			}
		}
	}
}

// ARCHITECTURE.md is the map: every package is on it.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "slipway/")
		if name != "slipway" && !bytes.Contains(text, []byte("`"+name+"/`")) {
			t.Errorf("ARCHITECTURE.md does not say what `%s/` is for", name)
		}
	}
}

// packages lists the module's packages with their non-test imports.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}
