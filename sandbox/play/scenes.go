package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// longest is how long a scene may take before it counts as stuck.
const longest = 20 * time.Minute

// Act plays the scenario with the name. The error says how it ended otherwise than it should.
func (p *Player) Act(ctx context.Context, scenario string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errors.New("the scene takes too long"))
	defer cancel()
	scene := map[string]func(context.Context) error{
		"ssot":                  p.ssot,
		"bad-deploy":            p.badDeploy,
		"worse-than-before":     p.worseThanBefore,
		"crash-on-start":        p.crashOnStart,
		"low-traffic":           p.lowTraffic,
		"low-traffic-probes":    p.lowTrafficProbes,
		"bursty":                p.badDeploy,
		"warm-up-errors":        p.goodDeploy,
		"slow-errors":           p.badDeploy,
		"late-fail":             p.lateFail,
		"dropped-logs":          p.goodDeploy,
		"incident":              p.incident,
		"incident-at-start":     p.incident,
		"permission-missing":    p.permissionMissing,
		"someone-else-deployed": p.someoneElseDeployed,
		"migration-ran":         p.migrationRan,
	}[scenario]
	if scene == nil {
		return fmt.Errorf("there is no scene for the scenario %q", scenario)
	}
	return scene(ctx)
}

// ssot: a rollout is asked for, someone else asks too, two people try to approve who may not, one
// does who may, and the errors fall from 72% to below 5%.
func (p *Player) ssot(ctx context.Context) error {
	if err := p.Command(ctx, workspace.Deployer, "/deploy staging"); err != nil {
		return err
	}
	if err := p.Until(ctx, "the question for approval", Has("approve")); err != nil {
		return err
	}
	for _, turn := range []struct {
		act    func() error
		answer string
	}{
		{func() error { return p.Command(ctx, workspace.Oncall, "/deploy staging") }, workspace.Oncall},
		{func() error { return p.Click(ctx, workspace.Outsider, "approve") }, workspace.Outsider},
		{func() error { return p.Click(ctx, workspace.Deployer, "approve") }, workspace.Deployer},
	} {
		answers := told(turn.answer)(p.world.Slack.Messages(p.channel))
		if err := turn.act(); err != nil {
			return err
		}
		more := func(m []fakeslack.Message) bool { return told(turn.answer)(m) > answers }
		if err := p.Until(ctx, "the answer to "+turn.answer, more); err != nil {
			return err
		}
	}
	if err := p.Click(ctx, workspace.Approver, "approve"); err != nil {
		return err
	}
	return p.Ends(ctx, "Deployed")
}

// badDeploy: nobody does anything after the approval.
func (p *Player) badDeploy(ctx context.Context) error {
	if err := p.Approved(ctx); err != nil {
		return err
	}
	return p.Ends(ctx, "Rolled back")
}

// goodDeploy: the same, and all is well.
func (p *Player) goodDeploy(ctx context.Context) error {
	if err := p.Approved(ctx); err != nil {
		return err
	}
	return p.Ends(ctx, "Deployed")
}

// worseThanBefore: whoever deploys decides to stay on the new revision, which errs less than the old one.
func (p *Player) worseThanBefore(ctx context.Context) error {
	if err := p.Asked(ctx); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Deployer, "hold"); err != nil {
		return err
	}
	return p.Ends(ctx, "Failed")
}

func (p *Player) crashOnStart(ctx context.Context) error {
	if err := p.Approved(ctx); err != nil {
		return err
	}
	return p.Ends(ctx, "Failed")
}

// lowTraffic: whoever is on call does not want to wait for more requests.
func (p *Player) lowTraffic(ctx context.Context) error {
	if err := p.Asked(ctx); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Oncall, "rollback"); err != nil {
		return err
	}
	return p.Ends(ctx, "Rolled back")
}

// lowTrafficProbes: whoever is on call lets Slipway make the requests that users do not.
func (p *Player) lowTrafficProbes(ctx context.Context) error {
	if err := p.Asked(ctx); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Oncall, "probe"); err != nil {
		return err
	}
	return p.Ends(ctx, "Deployed")
}

// lateFail: all is well, then it is not, and whoever deployed goes back by the card's button.
func (p *Player) lateFail(ctx context.Context) error {
	if err := p.goodDeploy(ctx); err != nil {
		return err
	}
	if err := p.Until(ctx, "the news that it fails", Has("rollback")); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Deployer, "rollback"); err != nil {
		return err
	}
	return p.Until(ctx, "the end of the way back", func(messages []fakeslack.Message) bool {
		return strings.HasPrefix(Card(messages).Text, "*Rolled back: ")
	})
}

// incident: whoever is on call is paged and has it, sends the traffic back, and it resolves by itself.
func (p *Player) incident(ctx context.Context) error {
	if err := p.Until(ctx, "the incident", Has("incident_acknowledge")); err != nil {
		return err
	}
	if err := p.until(ctx, "the pager", func() bool { return len(p.world.Pager.Alerts()) > 0 }); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Oncall, "incident_acknowledge"); err != nil {
		return err
	}
	if err := p.Until(ctx, "that it is acknowledged", inThread("Acknowledged by")); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Oncall, "incident_rollback"); err != nil {
		return err
	}
	return p.Until(ctx, "that it is resolved", inThread("Resolved"))
}

// inThread is true once a reply has the text.
func inThread(text string) func([]fakeslack.Message) bool {
	return func(messages []fakeslack.Message) bool {
		for _, m := range messages {
			if m.ThreadTS != "" && strings.Contains(m.Text, text) {
				return true
			}
		}
		return false
	}
}

// permissionMissing: nobody is even asked.
func (p *Player) permissionMissing(ctx context.Context) error {
	if err := p.Command(ctx, workspace.Deployer, "/deploy staging"); err != nil {
		return err
	}
	return p.Ends(ctx, "Failed")
}

// someoneElseDeployed: while Cloud Run starts the new revision, another pipeline deploys.
func (p *Player) someoneElseDeployed(ctx context.Context) error {
	if err := p.Approved(ctx); err != nil {
		return err
	}
	if err := p.until(ctx, "a new revision", func() bool { return p.world.Cloud.State().Services[0].Reconciling }); err != nil {
		return err
	}
	service := p.world.Cloud.State().Services[0]
	p.say(Pipeline, "deploys "+service.Name+" by itself")
	err := p.world.Cloud.Touch(fakegcp.TouchRequest{
		Service: service.Name, By: Pipeline, Image: service.Revisions[0].Image, Traffic: map[string]int{"LATEST": 100},
	})
	if err != nil {
		return err
	}
	return p.Ends(ctx, "Failed")
}

// Pipeline is the account of whoever else deploys.
const Pipeline = "ci-pipeline@netra-staging.iam.gserviceaccount.com"

// migrationRan: whoever deploys checks that the old code works on the new tables, and rolls back.
func (p *Player) migrationRan(ctx context.Context) error {
	if err := p.Asked(ctx); err != nil {
		return err
	}
	if err := p.Click(ctx, workspace.Deployer, "rollback"); err != nil {
		return err
	}
	return p.Ends(ctx, "Rolled back")
}

// Approved starts a rollout and approves it.
func (p *Player) Approved(ctx context.Context) error {
	if err := p.Command(ctx, workspace.Deployer, "/deploy staging"); err != nil {
		return err
	}
	if err := p.Until(ctx, "the question for approval", Has("approve")); err != nil {
		return err
	}
	return p.Click(ctx, workspace.Approver, "approve")
}

// Asked starts and approves a rollout and waits until it asks what is to become of it.
func (p *Player) Asked(ctx context.Context) error {
	if err := p.Approved(ctx); err != nil {
		return err
	}
	return p.Until(ctx, "the question for a decision", Has("rollback"))
}

// Ends waits for the end, which has to be the one named: "Deployed", "Rolled back", "Failed" and so on.
func (p *Player) Ends(ctx context.Context, how string) error {
	if err := p.Until(ctx, "the end", ended); err != nil {
		return err
	}
	card := Card(p.world.Slack.Messages(p.channel))
	if !strings.HasPrefix(card.Text, "*"+how+": ") {
		return fmt.Errorf("the end should have been %q, but the card says: %s", how, p.names.plain(card.Text))
	}
	return nil
}

// Card is the channel's one message that is neither a reply nor of an incident nor seen by one person only; the
// newest, if there are several.
func Card(messages []fakeslack.Message) fakeslack.Message {
	var card fakeslack.Message
	for _, m := range messages {
		if m.ThreadTS == "" && m.EphemeralTo == "" && !m.Deleted && !IsIncident(m) {
			card = m
		}
	}
	return card
}

// IsIncident tells the message of an incident, and what is said in its thread, from those of rollouts.
func IsIncident(m fakeslack.Message) bool {
	return bytes.Contains(m.Metadata, []byte(`"slipway_incident"`))
}

// Has is true once a message has a button with the action.
func Has(action string) func([]fakeslack.Message) bool {
	return func(messages []fakeslack.Message) bool {
		for _, m := range messages {
			if _, ok := button(m, action); ok {
				return true
			}
		}
		return false
	}
}

// told counts what only the user with the name sees.
func told(name string) func([]fakeslack.Message) int {
	return func(messages []fakeslack.Message) int {
		n := 0
		for _, m := range messages {
			if m.EphemeralTo == workspace.UserID(name) {
				n++
			}
		}
		return n
	}
}

// ended is true once the card says how it ended and the thread has told it too.
func ended(messages []fakeslack.Message) bool {
	told := false
	for _, m := range messages {
		told = told || m.ThreadTS != "" && anyEnd.MatchString(m.Text)
	}
	return told && anyEnd.MatchString(Card(messages).Text)
}

// anyEnd is the bold headline of a rollout that is over.
var anyEnd = regexp.MustCompile(`\*(Deployed|Rolled back|Failed|Rejected|Expired|Stopped): `)
