package plan

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	f := mustLoad(t, read(t, "testdata/good/everything.yaml"))
	for _, text := range []string{"staging", "staging/backend", "staging/auth", "production/backend"} {
		if got, err := ParseTarget(f, text); err != nil || got.String() != text {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	tests := map[string]string{
		"":                   "no target; say which, as in staging, production, staging/backend, staging/auth, production/backend",
		"stagng":             "unknown environment stagng; did you mean staging?",
		"stagng/backend":     "unknown environment stagng; did you mean staging/backend?",
		"prod":               "unknown environment prod; did you mean production?",
		"auth":               "unknown environment auth; did you mean staging/auth?",
		"backend":            "unknown environment backend; did you mean staging/backend or production/backend?",
		"qa":                 "unknown environment qa; there is staging, production",
		"staging/bakcend":    `unknown service "bakcend" in staging; did you mean backend?`,
		"staging/":           `unknown service "" in staging; it has backend, auth`,
		"production/billing": `unknown service "billing" in production; it has backend`,
		"staging/auth/x":     `unknown service "auth/x" in staging; did you mean auth?`,
	}
	for text, want := range tests {
		if got, err := ParseTarget(f, text); err == nil || err.Error() != want {
			t.Errorf("%q gives %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"status", "rollback", "abort", "approve", "lock"}
	tests := map[string]string{"stauts": "status", "STATUS": "status", "rolback": "rollback", "roll": "rollback", "apprve": "approve", "lcok": "lock", "x": "", "deploy": "", "st": ""}
	for word, want := range tests {
		if got, ok := Nearest(word, known); got != want || ok != (want != "") {
			t.Errorf("nearest to %s is %q, %v; want %q", word, got, ok, want)
		}
	}
}

// TestPlanFor: environments that share a plan keep their own approval policy, and the shared
// definition can be approved by nobody.
func TestPlanFor(t *testing.T) {
	f := mustLoad(t, read(t, "testdata/good/everything.yaml"))
	approvals := func(p *Plan) []*Step {
		var list []*Step
		for _, s := range p.steps() {
			if s.Kind == KindApproval {
				list = append(list, s)
			}
		}
		return list
	}
	for env, want := range map[string]Approval{
		"staging":    {Required: 2, Approvers: []string{"@release-managers"}, Expires: 90 * 60e9},
		"production": {Required: 3, Approvers: []string{"@oncall"}, Expires: 30 * 60e9},
	} {
		p, err := f.PlanFor(Target{Environment: env, Service: "backend"})
		if err != nil {
			t.Fatal(err)
		}
		steps := approvals(p)
		if got := steps[0].Approval; !sameApproval(got, &want) {
			t.Errorf("%s asks %+v, want %+v", env, got, want)
		}
		if got := steps[0].Timeout; got != want.Expires+60e9 {
			t.Errorf("%s: the step's timeout is %s", env, got)
		}
		if got := steps[1]; got.Timeout != 10*60e9 || got.Approval.Self != f.Environment(env).Approval.Self {
			t.Errorf("%s: a bare approval is %+v with timeout %s", env, got.Approval, got.Timeout)
		}
	}
	for _, s := range approvals(f.Plan("full")) {
		if len(s.Approval.Approvers) > 0 {
			t.Errorf("the definition can be approved by %v", s.Approval.Approvers)
		}
	}
	if p, err := f.PlanFor(Target{Environment: "staging", Service: "auth"}); err != nil || p.Name != "auth" {
		t.Errorf("a service's own plan is %v, %v", p, err)
	}
	for _, unknown := range []Target{{Environment: "qa"}, {Environment: "staging", Service: "x"}} {
		if _, err := f.PlanFor(unknown); err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s gives %v", unknown, err)
		}
	}
}

func TestDigest(t *testing.T) {
	shipped := read(t, "../deploy.yaml")
	digest := func(src string) string { return mustLoad(t, src).Plan("staging").Digest() }
	want := digest(shipped)
	if !strings.HasPrefix(want, "sha256:") || len(want) != len("sha256:")+64 || ShortDigest(want) != want[7:19] {
		t.Errorf("digest is %s, short %s", want, ShortDigest(want))
	}
	same := map[string]string{
		"comments": "# another comment\n" + strings.ReplaceAll(shipped, "          # ", "          # * "),
		"order":    strings.Replace(shipped, "{service: backend, percent: 10}", "{percent: 10, service: backend}", 1),
		"quotes":   strings.Replace(shipped, "name: Shift 10%,", `name: "Shift 10%",`, 1),
		"units":    strings.ReplaceAll(shipped, "budget: 5m", "budget: 300s"),
		"default":  strings.ReplaceAll(shipped, "    on_failure: rollback ", "    # "),
		"body":     strings.Replace(shipped, `json: {message: "Are you there?"}`, `json: { "message" : 'Are you there?' }`, 1),
	}
	for name, src := range same {
		if src == shipped {
			t.Errorf("%s: nothing was changed", name)
		}
		if got := digest(src); got != want {
			t.Errorf("%s changed the digest", name)
		}
	}
	other := map[string][2]string{
		"limit":     {"below: 5%", "below: 4%"},
		"name":      {"Shift 10%", "Shift ten"},
		"approvers": {`approvers: ["@release-managers"]`, `approvers: ["@backend"]`},
		"argument":  {"--category, integration", "--category, unit"},
		"order":     {"[python, -m, pytest", "[python, pytest, -m"},
	}
	for name, change := range other {
		if got := digest(strings.Replace(shipped, change[0], change[1], 1)); got == want {
			t.Errorf("%s did not change the digest", name)
		}
	}
}
