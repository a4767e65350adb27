package commands

import (
	"context"
	"errors"
	"slices"
	"testing"

	"slipway/plan"
	"slipway/rollout"
)

// groups is a directory: the members of each handle. The handle "@down" cannot be looked up.
type groups map[string][]string

func (g groups) Missing(_ context.Context, channel string, handles []string) ([]string, error) {
	var missing []string
	if channel == "gone" {
		missing = append(missing, "There is no channel #gone that Slipway is in.")
	}
	for _, h := range handles {
		if g[h] == nil {
			missing = append(missing, "Slack knows no group or person "+h+".")
		}
	}
	return missing, nil
}

func (g groups) Member(ctx context.Context, user string, handles []string) (bool, error) {
	if _, ok := ctx.Deadline(); !ok {
		return false, errors.New("no deadline")
	}
	for _, h := range handles {
		if h == "@down" {
			return false, errors.New("usergroups.users.list: timeout")
		}
		if h == user || slices.Contains(g[h], user) {
			return true, nil
		}
	}
	return false, nil
}

func TestAuthorize(t *testing.T) {
	const (
		deployer, approver, owner, outsider = "UDEPLOYER", "UAPPROVER", "UOWNER", "UOUTSIDER"
		allowed, unchecked                  = "", "unchecked"
	)
	dir := groups{"@deployers": {deployer}, "@approvers": {approver, deployer}, "@owners": {owner}, "@empty": nil}
	env := func(deployers, owners []string) *plan.Environment {
		return &plan.Environment{Name: "staging", Deployers: deployers, Services: []*plan.Service{
			{Name: "backend", Owners: owners}, {Name: "auth"},
		}}
	}
	approval := func(self bool, who ...string) *rollout.Ask {
		return &rollout.Ask{ID: "2.1", Kind: rollout.AskApproval, Who: who, Self: self}
	}
	decision := func(who ...string) *rollout.Ask { return &rollout.Ask{ID: "3.3", Kind: rollout.AskDecision, Who: who} }
	staging := plan.Target{Environment: "staging"}
	backend := plan.Target{Environment: "staging", Service: "backend"}
	auth := plan.Target{Environment: "staging", Service: "auth"}
	closed := env([]string{"@deployers"}, []string{"@owners"})
	owned := env(nil, []string{"@owners"})
	open := env(nil, nil)

	tests := []struct {
		name  string
		actor string
		verb  rollout.Verb
		on    Subject
		want  string
	}{
		{"deployer deploys", deployer, VerbDeploy, Subject{closed, staging, rollout.Actor{}, nil}, allowed},
		{"outsider deploys", outsider, VerbDeploy, Subject{closed, staging, rollout.Actor{}, nil}, "Only {@@deployers} may deploy to staging; you are not in it."},
		{"owner deploys where there are deployers", owner, VerbDeploy, Subject{closed, backend, rollout.Actor{}, nil}, "Only {@@deployers} may deploy to staging/backend; you are not in it."},
		{"owner deploys", owner, VerbDeploy, Subject{owned, backend, rollout.Actor{}, nil}, allowed},
		{"outsider deploys an owned service", outsider, VerbDeploy, Subject{owned, backend, rollout.Actor{}, nil}, "Only {@@owners} may deploy to staging/backend; you are not in it."},
		{"anyone deploys what nobody owns", outsider, VerbDeploy, Subject{owned, auth, rollout.Actor{}, nil}, allowed},
		{"anyone deploys where nothing is said", outsider, VerbDeploy, Subject{open, staging, rollout.Actor{}, nil}, allowed},
		{"a group without members lets nobody in", outsider, VerbDeploy, Subject{env([]string{"@empty"}, nil), staging, rollout.Actor{}, nil}, "Only {@@empty} may deploy to staging; you are not in it."},
		{"directory down", outsider, VerbDeploy, Subject{env([]string{"@down"}, nil), staging, rollout.Actor{}, nil}, unchecked},
		{"named by ID, directory down", deployer, VerbDeploy, Subject{env([]string{"@down", deployer}, nil), staging, rollout.Actor{}, nil}, allowed},
		{"two handles", outsider, VerbDeploy, Subject{env([]string{"@deployers", "@owners"}, nil), staging, rollout.Actor{}, nil}, "Only {@@deployers} or {@@owners} may deploy to staging; you are none of them."},
		{"one user", outsider, VerbDeploy, Subject{env([]string{owner}, nil), staging, rollout.Actor{}, nil}, "Only {@UOWNER} may deploy to staging; you are someone else."},

		{"deployer aborts", deployer, rollout.VerbAbort, Subject{closed, staging, rollout.Actor{ID: owner}, nil}, allowed},
		{"outsider aborts", outsider, rollout.VerbAbort, Subject{closed, staging, rollout.Actor{ID: deployer}, nil}, "Only {@@deployers} may stop rollouts of staging; you are not in it."},

		{"approver approves", approver, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@approvers")}, allowed},
		{"outsider approves", outsider, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@approvers")}, "Only {@@approvers} may approve this; you are not in it."},
		{"an approver who left the group", approver, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@empty")}, "Only {@@empty} may approve this; you are not in it."},
		{"starter approves", deployer, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@approvers")}, "You started this rollout; someone else of {@@approvers} must approve it."},
		{"starter approves, nobody named", outsider, rollout.VerbApprove, Subject{open, staging, rollout.Actor{ID: outsider}, approval(false)}, "You started this rollout; someone else must approve it."},
		{"starter approves where that is enough", deployer, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(true, "@approvers")}, allowed},
		{"starter outside the approvers", owner, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: owner}, approval(true, "@approvers")}, "Only {@@approvers} may approve this; you are not in it."},
		{"approval, directory down", approver, rollout.VerbApprove, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@down")}, unchecked},
		{"approver rejects", approver, rollout.VerbReject, Subject{closed, staging, rollout.Actor{ID: owner}, approval(false, "@approvers")}, allowed},
		{"starter rejects", owner, rollout.VerbReject, Subject{closed, staging, rollout.Actor{ID: owner}, approval(false, "@down")}, allowed},
		{"outsider rejects", outsider, rollout.VerbReject, Subject{closed, staging, rollout.Actor{ID: deployer}, approval(false, "@approvers")}, "Only {@@approvers} may reject this; you are not in it."},

		{"who is asked continues", owner, rollout.VerbContinue, Subject{closed, staging, rollout.Actor{ID: deployer}, decision("@owners")}, allowed},
		{"deployer continues when others are asked", deployer, rollout.VerbContinue, Subject{closed, staging, rollout.Actor{ID: deployer}, decision("@owners")}, "Only {@@owners} may decide about this; you are not in it."},
		{"deployer rolls back when others are asked", deployer, rollout.VerbRollback, Subject{closed, staging, rollout.Actor{ID: deployer}, decision("@owners")}, allowed},
		{"nobody named: deployers decide", deployer, rollout.VerbExtend, Subject{closed, staging, rollout.Actor{ID: deployer}, decision()}, allowed},
		{"nobody named: outsider decides", outsider, rollout.VerbExtend, Subject{closed, staging, rollout.Actor{ID: deployer}, decision()}, "Only {@@deployers} may decide about this; you are not in it."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Authorize(t.Context(), dir, rollout.Actor{ID: test.actor}, test.verb, test.on)
			if got := spoken(err, unchecked); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func spoken(err error, unchecked string) string {
	if err == nil {
		return ""
	}
	if u := new(Unchecked); errors.As(err, &u) {
		return unchecked
	}
	return err.Error()
}
