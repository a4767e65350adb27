package plan

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file, or rewrites it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if string(got) != string(want) {
		t.Errorf("differs from %s; look at the difference and run with -update if it is right. Got:\n%s", path, got)
	}
}

func mustLoad(t *testing.T, src string) *File {
	t.Helper()
	f, err := Load("deploy.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

func TestBrokenFiles(t *testing.T) {
	paths, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d broken files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			f, err := Load("deploy.yaml", []byte(read(t, path)))
			if _, ok := errors.AsType[Errors](err); !ok || f != nil {
				t.Fatalf("loaded %v with error %v; want Errors", f, err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", []byte(err.Error()))
		})
	}
}

func TestEverything(t *testing.T) {
	f := mustLoad(t, read(t, "testdata/good/everything.yaml"))
	got, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good/everything.golden", append(got, '\n'))
}

func TestShippedPlan(t *testing.T) {
	f, err := LoadFile("../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) > 0 {
		t.Errorf("the shipped plan has warnings:\n%s", Errors(f.Warnings))
	}
	p, err := f.PlanFor(Target{Environment: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range p.steps() {
		kinds = append(kinds, string(s.Kind))
		if s.Timeout <= 0 {
			t.Errorf("%s has no timeout", s.Name)
		}
	}
	want := "done done job job job permissions rollback_target approval deploy traffic error_rate traffic" +
		" no_logs error_rate websocket http job job"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("steps are %s, want %s", got, want)
	}
}

func TestLoadFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plans.yaml")
	if _, err := LoadFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there gives %v", err)
	}
	if err := os.WriteFile(path, []byte("version: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(path); err == nil || !strings.HasPrefix(err.Error(), "plans.yaml:1:") {
		t.Errorf("error is %v", err)
	}
	big := strings.Repeat("# a comment\n", maxSize/12+1)
	if err := os.WriteFile(path, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(path); err == nil || !strings.Contains(err.Error(), "larger than 128 KiB") {
		t.Errorf("a big file gives %v", err)
	}
}

func TestWarnings(t *testing.T) {
	shipped := read(t, "../deploy.yaml")
	tests := []struct{ name, from, to, want string }{
		{"0.5%", "below: 5%, warm_up", "below: 0.5%, warm_up", "0.5% needs 712 requests without an error"},
		{"0.1%", "below: 5%, warm_up", "below: 0.1%, warm_up", "0.1% needs 3564 requests without an error"},
		{"rare log line", "match: ModuleNotFoundError,", "match: ModuleNotFoundError, min_rate: 0.5%,", "0.5% needs 598 requests"},
		{"not all traffic", "percent: 100}", "percent: 50}", "leaves backend at 50% of the traffic"},
		{"more buckets than the budget has time for", "below: 5%, warm_up", "below: 5%, evidence: buckets, warm_up", "5% by buckets of 10s takes about 138 of them without an error (23m), longer than the budget of 5m"},
		{"without evidence", "below: 5%, warm_up", "below: 5%, on_inconclusive: pass, warm_up", "this gate lets everything through"},
		{"unused plan", "    watch: 30m", "  spare: {phases: [{name: a, steps: [{name: b, deploy: {service: backend}}, {name: c, traffic: {service: backend, percent: 100}}]}]}\n#", "no environment runs plan spare"},
		{"a host that is not allowed", "post: \"${backend.candidate.url}/auth/login\"", "post: \"https://login.example.com/\"", "login.example.com is not among the hosts that staging may call"},
		{"an alarm below the gate", "alerts: {error_rate: 5%", "alerts: {error_rate: 2%", "backend is an incident at 2%, and the gates of plan staging let through what is below 5%"},
		{"gate at 0%", "{name: Shift 10%, traffic: {service: backend, percent: 10}}", "{name: Wait, wait: 1s}", "no traffic goes to the new backend yet"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			src := strings.Replace(shipped, test.from, test.to, 1)
			if src == shipped {
				t.Fatalf("%q is not in deploy.yaml", test.from)
			}
			got := Errors(mustLoad(t, src).Warnings).Error()
			if !strings.Contains(got, test.want) || strings.Count(got, "deploy.yaml:") != 1 {
				t.Errorf("warnings are %q; want one with %q", got, test.want)
			}
		})
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, path := range []string{"../deploy.yaml", "testdata/good/everything.yaml"} {
		f := mustLoad(t, read(t, path))
		for _, e := range f.Environments {
			roundTrip(t, e)
			p, err := f.PlanFor(Target{Environment: e.Name})
			if err != nil {
				t.Fatal(err)
			}
			if back := roundTrip(t, p); back.Digest() != p.Digest() {
				t.Errorf("%s: digest changed over JSON", path)
			}
		}
	}
}

func roundTrip[T any](t *testing.T, v *T) *T {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back := new(T)
	if err := json.Unmarshal(text, back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(v, back) {
		t.Errorf("%T changed over JSON:\n%s", v, text)
	}
	return back
}

// FuzzLoad: whatever stands in the file, Load does not panic, and every error points at a line.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/broken/*.yaml", "testdata/good/*.yaml", "../deploy.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Load("deploy.yaml", src)
		if err == nil {
			for _, p := range file.Plans {
				p.Digest()
			}
			return
		}
		list, ok := errors.AsType[Errors](err)
		if !ok || len(list) == 0 || file != nil {
			t.Fatalf("%T %v with file %v", err, err, file)
		}
		for _, e := range list {
			if e.Line < 1 || e.Column < 1 || e.Line > len(strings.Split(string(src), "\n")) || e.Message == "" {
				t.Fatalf("error points nowhere: %#v", e)
			}
		}
	})
}
