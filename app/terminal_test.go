package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

func TestRender(t *testing.T) {
	at := time.Unix(1767607200, 0)
	term := terminal{file: &plan.File{Identities: []*plan.Identity{{Account: "oncall@example.com", Slack: "U0ONCALL"}}}}
	term.learn(rollout.Rollout{
		By:   rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"},
		Asks: []rollout.Ask{{Votes: []rollout.Vote{{By: rollout.Actor{ID: "U0APPROVER", Name: "approver"}}}}},
	})
	tests := []struct{ text, want string }{
		{"Started by {@U0DEPLOYER} at {t:1767607200}.", "Started by deployer at " + at.Local().Format("15:04") + "."},
		{"Only {@@backend} or {@S0GROUP} may, not {@U0ONCALL}, {@U0APPROVER}, {@U0NOBODY}.", "Only @backend or S0GROUP may, not oncall, approver, U0NOBODY."},
		{"`/deploy status staging` shows it, `/deploy staging v1` starts one.", "`slipway ctl status staging` shows it, `slipway ctl deploy staging v1` starts one."},
		{"`/deploy help`, `/deploy`, `/deploy graph staging 1h`", "`slipway ctl --help`, `slipway ctl --help`, `/deploy graph staging 1h`"},
		{"a reason\x1b[2J with\x07 bells\nand a line", "a reason[2J with bells\nand a line"},
		{"{ @U0DEPLOYER} {@} {t:now}", "{ @U0DEPLOYER} {@} {t:now}"},
	}
	for _, tt := range tests {
		if got := term.render(tt.text); got != tt.want {
			t.Errorf("%q\n is %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// slackSays is a directory in which everybody is a member, or which does not answer.
type slackSays struct{ err error }

func (s slackSays) Member(context.Context, string, []string) (bool, error) {
	return s.err == nil, s.err
}

func (s slackSays) Missing(context.Context, string, []string) ([]string, error) {
	return []string{"gone"}, s.err
}

func TestMembership(t *testing.T) {
	robot := &plan.Identity{Account: "ci@x.iam.gserviceaccount.com", Robot: "ci", May: []string{"deploy"}, Groups: []string{"@backend"}}
	person := &plan.Identity{Account: "oncall@example.com", Slack: "U0ONCALL", Groups: []string{"@night"}}
	down := errors.New("usergroups.users.list: timeout")
	tests := []struct {
		name    string
		m       membership
		user    string
		handles []string
		want    bool
		err     error
	}{
		{"a robot in its group", membership{who: robot}, robot.Account, []string{"@other", "@backend"}, true, nil},
		{"a robot in no other, whatever Slack says", membership{who: robot, slack: slackSays{}}, robot.Account, []string{"@other"}, false, nil},
		{"a person whom Slack knows", membership{who: person, slack: slackSays{}}, "U0ONCALL", []string{"@backend"}, true, nil},
		{"a person when Slack is down", membership{who: person, slack: slackSays{down}}, "U0ONCALL", []string{"@backend"}, false, down},
		{"their own group when Slack is down", membership{who: person, slack: slackSays{down}}, "U0ONCALL", []string{"@backend", "@night"}, true, nil},
		{"a person without Slack", membership{who: person}, "U0ONCALL", []string{"@backend"}, false, noSlack{}},
		{"named directly, without Slack", membership{who: person}, "U0ONCALL", []string{"U0ONCALL"}, true, nil},
		{"others named directly, without Slack", membership{who: person}, "U0ONCALL", []string{"U0OTHER", "W0OTHER"}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.m.Member(t.Context(), tt.user, tt.handles)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	if missing, err := (membership{who: robot}).Missing(t.Context(), "c", nil); missing != nil || err != nil {
		t.Errorf("without Slack: %v, %v", missing, err)
	}
	if missing, _ := (membership{who: robot, slack: slackSays{}}).Missing(t.Context(), "c", nil); !slices.Equal(missing, []string{"gone"}) {
		t.Errorf("with Slack: %v", missing)
	}
}

func TestQuestion(t *testing.T) {
	approve, hold := rollout.VerbApprove, rollout.VerbHold
	answered := &rollout.Answer{Verb: approve}
	r := &rollout.Rollout{ID: "abc234", Target: plan.Target{Environment: "staging"}, Asks: []rollout.Ask{
		{ID: "2.1", Options: []rollout.Verb{approve, rollout.VerbReject}, Answer: answered},
		{ID: "2.2", Options: []rollout.Verb{approve, rollout.VerbReject}},
		{ID: "3.1", Options: []rollout.Verb{approve, rollout.VerbRetry}},
	}}
	tests := []struct {
		order order
		ask   string
		ok    bool
	}{
		{order{answer: rollout.VerbReject}, "2.2", true},
		{order{answer: rollout.VerbRetry}, "3.1", true},
		{order{answer: approve}, "", false}, // which of two?
		{order{answer: approve, ask: "3.1"}, "3.1", true},
		{order{answer: approve, ask: "2.1"}, "", false}, // answered already
		{order{answer: rollout.VerbExtend}, "", false},
		{order{answer: hold}, "", true}, // needs no question
		{order{answer: hold, ask: "2.2"}, "", false},
	}
	for _, tt := range tests {
		click, no := question(r, tt.order)
		if (click != nil) != tt.ok || tt.ok != (no == "") {
			t.Errorf("%s %s: %+v, %q", tt.order.answer, tt.order.ask, click, no)
		} else if tt.ok && (click.Ask != tt.ask || click.Rollout != "abc234" || click.Verb != tt.order.answer) {
			t.Errorf("%s %s: %+v", tt.order.answer, tt.order.ask, click)
		}
	}
}

func TestWell(t *testing.T) {
	ended := func(kind rollout.Kind, result rollout.Result, percent int) *rollout.Rollout {
		return &rollout.Rollout{Kind: kind, End: &rollout.End{Result: result}, Services: map[string]rollout.Service{"backend": {Percent: percent}}}
	}
	tests := []struct {
		name string
		r    *rollout.Rollout
		verb string
		want bool
	}{
		{"deployed", ended(rollout.Deployment, rollout.Succeeded, 100), "deploy", true},
		{"rolled back", ended(rollout.Deployment, rollout.RolledBack, 0), "deploy", false},
		{"rejected", ended(rollout.Deployment, rollout.Aborted, 0), "deploy", false},
		{"a rollback", ended(rollout.Rollback, rollout.Succeeded, 100), "rollback", true},
		{"a rollback that failed", ended(rollout.Rollback, rollout.Failed, 0), "rollback", false},
		{"stopped in place of a rollback", ended(rollout.Deployment, rollout.RolledBack, 0), "rollback", true},
		{"stopped before traffic moved", ended(rollout.Deployment, rollout.Aborted, 0), "rollback", true},
		{"stopped with its traffic as it was", ended(rollout.Deployment, rollout.Aborted, 10), "rollback", false},
		{"still going on", &rollout.Rollout{}, "deploy", false},
	}
	for _, tt := range tests {
		if got := well(tt.r, tt.verb); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
