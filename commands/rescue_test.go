package commands

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"slipway/plan"
	"slipway/rollout"
)

// lifeline is a cloud that brings services back, unless it has an error for them.
type lifeline struct {
	errs map[string]error

	mu   sync.Mutex
	went map[string]string // service → revision
}

func (l *lifeline) Rescue(_ context.Context, s plan.Service, name string, say func(string)) error {
	say("Looking.")
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.errs[s.Name]; err != nil {
		return err
	}
	l.went[s.Name] = name
	say("All traffic is back on " + name + ".")
	return nil
}

// rescue has a request done without a store.
func rescue(t *testing.T, l *lifeline, req Request) (replies []Reply) {
	t.Helper()
	h, m := newHandler(t)
	m.down = true
	l.went, h.Rescuer = map[string]string{}, l
	if !h.Urgent(req) {
		t.Fatalf("%+v is not urgent", req)
	}
	h.Rescue(t.Context(), req, func(r Reply) { replies = append(replies, r) })
	return replies
}

func pressBack(actor string, back *Back) Request {
	req := command(actor, "")
	req.Click = &Click{Verb: rollout.VerbRollback, Rollout: "abc234", Back: back}
	return req
}

func TestUrgent(t *testing.T) {
	h, _ := newHandler(t)
	for text, want := range map[string]bool{
		"rollback staging": true, "Rollback staging/backend 00041 logins fail": true,
		"staging": false, "status": false, "abort staging": false, "rollback": false, `"rollback" staging`: false, "": false,
	} {
		if h.Urgent(command("U", text)) != want {
			t.Errorf("urgent(%q) is not %v", text, want)
		}
	}
	if h.Urgent(pressBack("U", nil)) || !h.Urgent(pressBack("U", &Back{Target: "staging"})) {
		t.Error("a button is urgent if, and only if, it says where traffic goes back to")
	}
	if form := command("U", "rollback staging"); h.Urgent(Request{Show: ShowForm, Text: form.Text}) {
		t.Error("a form is not urgent")
	}
}

// Who may is asked as always; what the button or the command says goes back, and all are told.
func TestRescue(t *testing.T) {
	back := &Back{Target: "staging", Revisions: map[string]string{"backend": "backend-staging-00041-abc", "gone": "gone-1"}}
	tests := []struct {
		name string
		req  Request
		errs map[string]error
		went string // the revision of backend
		says []string
		all  bool // everybody is told
	}{
		{"button", pressBack("UDEPLOYER", back), nil, "backend-staging-00041-abc", []string{"{@UDEPLOYER} rolled back staging without Redis", "not in the history", "/deploy lock staging"}, true},
		{"outsider", pressBack("UOUTSIDER", back), nil, "", []string{"Only {@@backend} may roll back staging"}, false},
		{"command", command("UDEPLOYER", "rollback staging/backend 00040"), nil, "00040", []string{"All traffic is back on 00040."}, true},
		{"outsider's command", command("UOUTSIDER", "rollback staging/backend"), nil, "", []string{"Only {@@backend}"}, false},
		{"nowhere", command("UDEPLOYER", "rollback nowhere"), nil, "", []string{"No target 'nowhere'"}, false},
		{"forged target", pressBack("UDEPLOYER", &Back{Target: "{@U1}|x"}), nil, "", []string{"No target"}, false},
		{"other services", pressBack("UDEPLOYER", &Back{Target: "staging", Revisions: map[string]string{"gone": "gone-1"}}), nil, "", []string{"does not have the services"}, false},
		{
			"refused", pressBack("UDEPLOYER", back), map[string]error{"backend": &rollout.Failure{Reason: "It cannot serve.", Detail: "gcloud …"}},
			"", []string{"staging was not rolled back", "backend: It cannot serve.\ngcloud …"}, false,
		},
		{
			"no answer", pressBack("UDEPLOYER", back), map[string]error{"backend": errors.New("dial 10.0.0.7: refused")},
			"", []string{"backend: Google Cloud did not answer as it should", "Try again"}, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &lifeline{errs: tt.errs}
			replies := rescue(t, l, tt.req)
			last := replies[len(replies)-1]
			for _, words := range tt.says {
				if !strings.Contains(last.Text, words) {
					t.Errorf("answered %q, without %q", last.Text, words)
				}
			}
			if l.went["backend"] != tt.went || last.Public != tt.all || strings.Contains(last.Text, "10.0.0.7") {
				t.Errorf("went back to %q, public %v: %s", l.went["backend"], last.Public, last.Text)
			}
		})
	}
}

// One service that cannot be helped keeps back no other.
func TestRescueOfSeveral(t *testing.T) {
	l := &lifeline{errs: map[string]error{"backend": errors.New("refused")}, went: map[string]string{}}
	ways := []Way{{&plan.Service{Name: "backend"}, ""}, {&plan.Service{Name: "auth"}, "00007"}}
	var mu sync.Mutex
	said := 0
	stuck := BringBack(t.Context(), l, ways, func(string, string) {
		mu.Lock()
		defer mu.Unlock()
		said++
	})
	if len(stuck) != 1 || stuck[0].Service != "backend" || l.went["auth"] != "00007" || said != 3 {
		t.Errorf("stuck %+v, went %v, said %d", stuck, l.went, said)
	}
}
