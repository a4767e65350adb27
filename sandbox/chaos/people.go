package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// team is the people who care for one service: they deploy one image after the other, and answer what
// the rollouts ask. What Slack tells them went wrong they do again, as people do. What was accepted they
// wait for, and take it to the judge if nothing comes of it.
type team struct {
	world   *world
	watch   *watch
	judge   *judge
	service string
}

const (
	// patience is how long something that was acknowledged may take. A bot that is killed holds what it
	// took from the inbox for 90 s, and so may the one that takes it next.
	patience = 200 * time.Second
	// unacked is how long something may still happen that was not acknowledged: Slack sends it once more.
	unacked    = 8 * time.Second
	tryAgain   = 300 * time.Millisecond
	peopleLook = 50 * time.Millisecond
)

func (t *team) channel() string { return "deploys-" + t.service }

// bad reports whether the nth image does not pass its tests, so that its traffic goes back.
func bad(n int) bool { return n%4 == 3 }

func tagOf(n int) string {
	if bad(n) {
		return fmt.Sprintf("bad-%d", n)
	}
	return fmt.Sprintf("good-%d", n)
}

// push puts the nth image of the service into the registry, and returns its digest.
func (t *team) push(n int) (string, error) {
	image := fakegcp.Behavior{ErrorRate: 0.002}
	if bad(n) {
		image.Jobs = map[string]fakegcp.JobBehavior{"verify": {ExitCode: 1}}
	}
	return t.world.servers.Cloud.AddImage("us-docker.pkg.dev/chaos-staging/apps/"+t.service+":"+tagOf(n), image)
}

// deploy pushes the nth image of the service, deploys it and cares for the rollout until it ends.
func (t *team) deploy(ctx context.Context, n int) error {
	if _, err := t.push(n); err != nil {
		return err
	}
	id, err := t.start(ctx, tagOf(n))
	if err != nil || id == "" {
		return err
	}
	return t.tend(ctx, id)
}

// start types the command until there is a rollout, and returns its ID.
func (t *team) start(ctx context.Context, tag string) (string, error) {
	text := environment + "/" + t.service + " " + tag
	for ctx.Err() == nil {
		began, before, told := time.Now(), t.watch.of(t.service), len(t.told(workspace.Deployer))
		ack, err := t.world.servers.Slack.Command(ctx, fakeslack.CommandRequest{User: workspace.Deployer, Channel: t.channel(), Command: "/deploy", Text: text})
		accepted := err == nil && len(ack.Payload) == 0
		longest := unacked
		switch {
		case accepted:
			longest = patience
			t.judge.count("commands accepted")
		case errors.Is(err, fakeslack.ErrNotAcked):
			t.judge.count("commands not acknowledged")
		case err != nil && !errors.Is(err, fakeslack.ErrNoConnection):
			return "", err
		default: // the bot is away, or says that its store is
			t.judge.count("commands refused")
			pause(ctx, tryAgain)
			continue
		}
		id, answer := t.begun(ctx, longest, before, told)
		switch {
		case id != "":
			t.judge.took("from a command to its rollout, at most", time.Since(began))
			return id, nil
		case strings.HasPrefix(answer, "Starting "):
			t.judge.violation("rollout lost", "%s: the answer was %q, and there is none", text, answer)
		case accepted && answer == "" && ctx.Err() == nil:
			t.judge.violation("command lost", "%s was acknowledged and has neither a rollout nor an answer", text)
		}
	}
	return "", ctx.Err()
}

// begun waits for a rollout that was not there before, or for what the deployer is told instead.
func (t *team) begun(ctx context.Context, longest time.Duration, before []string, told int) (id, answer string) {
	t.until(ctx, longest, func() bool {
		for _, known := range t.watch.of(t.service) {
			if !slices.Contains(before, known) {
				id = known
			}
		}
		if answers := t.told(workspace.Deployer); len(answers) > told {
			answer = answers[len(answers)-1]
		}
		return id != "" || answer != "" && !strings.HasPrefix(answer, "Starting ")
	})
	return id, answer
}

// told are the texts that only the person sees.
func (t *team) told(person string) []string {
	var texts []string
	for _, m := range t.world.servers.Slack.Messages(t.channel()) {
		if m.EphemeralTo == workspace.UserID(person) {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// until looks until it holds, for so long at most.
func (t *team) until(ctx context.Context, longest time.Duration, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for !holds() {
		if !pause(ctx, peopleLook) {
			return holds()
		}
	}
	return true
}

// tend answers what the rollout asks until it ends.
func (t *team) tend(ctx context.Context, id string) error {
	for ctx.Err() == nil {
		r := t.watch.get(id)
		if r.Status == rollout.Ended {
			return nil
		}
		if i := slices.IndexFunc(r.Asks, func(a rollout.Ask) bool { return a.Answer == nil }); i >= 0 {
			if err := t.answer(ctx, id, r.Asks[i]); err != nil {
				return err
			}
		}
		pause(ctx, peopleLook)
	}
	return ctx.Err()
}

// answers are what people say, in the order of their liking, and who says it.
func answers() []struct {
	verb rollout.Verb
	who  string
} {
	return []struct {
		verb rollout.Verb
		who  string
	}{
		{rollout.VerbApprove, workspace.Approver}, {rollout.VerbConfirm, workspace.Deployer}, {rollout.VerbExtend, workspace.Deployer},
		{rollout.VerbRetry, workspace.Deployer}, {rollout.VerbRollback, workspace.Deployer}, {rollout.VerbHold, workspace.Deployer},
	}
}

// answer clicks a button of the rollout's card, if it is there already, and waits for what comes of it.
func (t *team) answer(ctx context.Context, id string, ask rollout.Ask) error {
	for _, a := range answers() {
		if !slices.Contains(ask.Options, a.verb) {
			continue
		}
		ts := t.button(id, string(a.verb))
		if ts == "" {
			return nil
		}
		return t.click(ctx, id, ask.ID, ts, a.verb, a.who)
	}
	return fmt.Errorf("rollout %s asks for one of %q, which nobody here says", id, ask.Options)
}

func (t *team) click(ctx context.Context, id, ask, ts string, verb rollout.Verb, who string) error {
	began, told := time.Now(), len(t.told(who))
	_, err := t.world.servers.Slack.Click(ctx, fakeslack.ClickRequest{User: who, Channel: t.channel(), TS: ts, ActionID: string(verb)})
	longest := patience
	switch {
	case err == nil:
		t.judge.count("clicks accepted")
	case errors.Is(err, fakeslack.ErrNotAcked):
		t.judge.count("clicks not acknowledged")
		longest = unacked
	default: // nobody is connected, or the card has changed
		pause(ctx, tryAgain)
		return ctx.Err()
	}
	answer := ""
	t.until(ctx, longest, func() bool {
		if texts := t.told(who); len(texts) > told {
			answer = texts[len(texts)-1]
		}
		return t.said(id, ask, who) || answer != ""
	})
	counted := t.until(ctx, 2*time.Second, func() bool { return t.said(id, ask, who) })
	switch {
	case counted:
		t.judge.took("from a click to its effect, at most", time.Since(began))
	case err != nil, ctx.Err() != nil:
	case answer == "":
		t.judge.violation("click lost", "%s of %s was acknowledged, and nothing came of it", verb, id)
	case !honest(answer):
		t.judge.violation("click lost", "%s of %s was answered with %q, and it does not count", verb, id, answer)
	}
	return ctx.Err()
}

// honest reports whether an answer says that nothing was done, or that this is not certain.
func honest(answer string) bool {
	return strings.Contains(answer, "Nothing was done") || strings.Contains(answer, "it is not certain")
}

// said reports whether what the person said of a question counts.
func (t *team) said(id, ask, who string) bool {
	r := t.watch.get(id)
	if r.Status == rollout.Ended {
		return true
	}
	for _, a := range r.Asks {
		if a.ID == ask {
			return a.Answer != nil || slices.ContainsFunc(a.Votes, func(v rollout.Vote) bool { return v.By.ID == workspace.UserID(who) })
		}
	}
	return false
}

// button finds the message of a rollout that has a button.
func (t *team) button(id, action string) (ts string) {
	for _, m := range t.world.servers.Slack.Messages(t.channel()) {
		if of, _ := metadata(m); of == id && !m.Deleted && hasAction(m.Blocks, action) {
			ts = m.TS
		}
	}
	return ts
}

// metadata says of which rollout a message is, and which of its messages.
func metadata(m fakeslack.Message) (id, key string) {
	var data struct {
		Payload struct{ Rollout, Key string } `json:"event_payload"`
	}
	if len(m.Metadata) == 0 || json.Unmarshal(m.Metadata, &data) != nil {
		return "", ""
	}
	return data.Payload.Rollout, data.Payload.Key
}

func hasAction(blocks json.RawMessage, action string) bool {
	var all []struct {
		Elements []struct {
			ActionID string `json:"action_id"`
		} `json:"elements"`
	}
	if json.Unmarshal(blocks, &all) != nil {
		return false
	}
	for _, b := range all {
		for _, e := range b.Elements {
			if e.ActionID == action {
				return true
			}
		}
	}
	return false
}
