package bot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// Names writes handles such as "@release-managers" so that Slack notifies whoever they mean. A
// handle that is not in it is shown as it is.
type Names map[string]string

func (n Names) mention(handle string) mrkdwn {
	if text, ok := n[handle]; ok {
		return mrkdwn(text)
	}
	return mention(handle, handle)
}

func (n Names) mentions(handles []string) mrkdwn {
	list := make([]mrkdwn, len(handles))
	for i, handle := range handles {
		list[i] = n.mention(handle)
	}
	return sentences(", ", list...)
}

// subject is what is rolled out where: "backend on staging".
func subject(r rollout.Rollout) string {
	names := slices.Sorted(maps.Keys(r.Services))
	what := "nothing"
	switch len(names) {
	case 0:
	case 1:
		what = names[0]
	case 2, 3:
		what = strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	default:
		what = fmt.Sprintf("%d services", len(names))
	}
	return what + " on " + r.Target.Environment
}

// version is what people asked for and what it was: "develop-long-lived @ 3f9a1c2". Services that
// are rolled out from different images have no common name for it.
func version(r rollout.Rollout) string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		image := r.Services[name].Image
		text := shortDigest(image.Digest)
		if image.Tag != "" {
			text = image.Tag + " @ " + text
		}
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	if len(found) != 1 {
		return fmt.Sprintf("%d images", len(found))
	}
	return cut(found[0], 100)
}

// shortDigest is a digest's first seven digits, as git shows a commit.
func shortDigest(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return hex[:min(len(hex), 7)]
}

// headline is the one sentence that says what this is and how it stands.
func headline(r rollout.Rollout) mrkdwn {
	switch {
	case r.Status != rollout.Ended || r.End == nil:
		return say("*%s*: %s", subject(r), standing(r))
	case r.Kind == rollout.Rollback && r.End.Result == rollout.Succeeded:
		return say("*Rolled back: %s%s*", subject(r), journey(r))
	case r.Kind == rollout.Rollback:
		return say("*%s: rollback of %s%s*", ending(r), subject(r), journey(r))
	}
	return say("*%s: %s*%s", ending(r), subject(r), errorsAtEnd(r))
}

// journey is from where to where a rollback goes; of several services, the end says so for each.
func journey(r rollout.Rollout) string {
	if len(r.Services) != 1 {
		return ""
	}
	return " to " + goal(r) + " from " + old(r)
}

func ending(r rollout.Rollout) string {
	switch r.End.Result {
	case rollout.Succeeded:
		if r.FailedLate() {
			return "Failing since it was deployed"
		}
		return "Deployed"
	case rollout.RolledBack:
		return "Rolled back"
	case rollout.Failed:
		return "Failed"
	}
	if r.Stop != nil {
		switch r.Stop.Cause {
		case rollout.StopRejected:
			return "Rejected"
		case rollout.StopExpired:
			return expiredAs(r)
		}
	}
	return "Stopped"
}

// expiredAs is how a rollout ended about which nobody decided: by what it was asked.
func expiredAs(r rollout.Rollout) string {
	s, _ := r.Step(r.Stop.Step)
	switch {
	case s == nil || s.Status == rollout.StepInconclusive:
		return "Stopped"
	case s.Status == rollout.StepFailed:
		return "Failed"
	}
	return "Expired"
}

// errorsAtEnd is what the on-call engineer wants to know of a release that did not pass.
func errorsAtEnd(r rollout.Rollout) string {
	if r.End.Result == rollout.Succeeded || r.Stop == nil {
		return ""
	}
	if s, _ := r.Step(r.Stop.Step); s != nil && s.Gate != nil && s.Spec.Kind == plan.KindErrorRate && s.Gate.Counts.Errors > 0 {
		return ", " + rollout.Percent(rollout.Share(s.Gate.Counts.Errors, s.Gate.Counts.Requests)) + " errors"
	}
	return ""
}

func standing(r rollout.Rollout) string {
	ask := firstOpen(r)
	switch {
	case r.Status == rollout.Returning:
		return "traffic goes back to " + old(r)
	case r.Stop != nil:
		return "stopping"
	case ask != nil:
		return waiting(r, *ask)
	case r.Kind == rollout.Rollback:
		return "going back to " + goal(r)
	}
	return progress(r)
}

// waiting names what a question keeps from going on.
func waiting(r rollout.Rollout, ask rollout.Ask) string {
	s, _ := r.Step(ask.Step)
	switch {
	case ask.Kind == rollout.AskApproval:
		return "waiting for approval"
	case again(r, ask):
		return "this image failed before, waiting for a decision"
	case ask.Kind == rollout.AskManual && s != nil:
		return "waiting for somebody to do this: " + plain(s.Spec.Name, 100)
	case ask.Kind == rollout.AskPause:
		return "paused; " + progress(r)
	case s == nil:
		return "stopped, waiting for a decision"
	case r.Kind == rollout.Rollback:
		return "could not go back to " + goal(r) + ", waiting for a decision"
	case s.Status == rollout.StepInconclusive:
		return plain(s.Spec.Name, 100) + " could not decide, waiting for a decision"
	}
	return plain(s.Spec.Name, 100) + " failed, waiting for a decision"
}

// progress says where in the plan a running rollout is: "phase 3 of 5, Errors at 10%".
func progress(r rollout.Rollout) string {
	for i, phase := range r.Phases {
		var busy []string
		over := true
		for _, s := range phase.Steps {
			over = over && s.Status.Over()
			if s.Status == rollout.StepRunning || s.Status == rollout.StepWaiting {
				busy = append(busy, s.Spec.Name)
			}
		}
		if over {
			continue
		}
		at := ""
		if !phase.Added {
			at = fmt.Sprintf("phase %d of %d, ", planned(r.Phases[:i+1]), planned(r.Phases))
		}
		if len(busy) == 1 {
			return at + plain(busy[0], 100)
		}
		return at + plain(phase.Name, 100)
	}
	return "finishing"
}

// planned counts the phases of the plan, without those that rollouts add.
func planned(phases []rollout.Phase) int {
	n := 0
	for _, phase := range phases {
		if !phase.Added {
			n++
		}
	}
	return n
}

// origin is what was asked for, by whom and when.
func origin(r rollout.Rollout) mrkdwn {
	by := say("started by %s %s", mention(r.By.ID, r.By.Name), ago(r.Created))
	if r.Kind == rollout.Rollback {
		return by
	}
	return say("%s · %s", version(r), by)
}

// reasonGiven is why somebody asked for a rollback.
func reasonGiven(r rollout.Rollout) mrkdwn {
	if r.Kind != rollout.Rollback || r.Lock.Reason == "" {
		return ""
	}
	return say("Reason: %s", short(r.Lock.Reason, 400))
}

// provisional says until when a verdict can still turn, or what came of that.
func provisional(r rollout.Rollout) mrkdwn {
	switch {
	case r.Watched():
		return say("Provisional until %s: errors that come by then are told here.", clock(r.Watch.Until))
	case r.Watch != nil:
		return escape(short(r.Watch.Outcome.Note, 600))
	}
	return ""
}

// lockLeft says what an ended rollout keeps from being deployed.
func lockLeft(r rollout.Rollout) mrkdwn {
	lock := r.LockAfter()
	if lock == nil {
		return ""
	}
	return say("%s is locked until `/deploy unlock %s`.", lock.Target.String(), lock.Target.String())
}

// decided reports whether a gate has come to a verdict of its own; one that was cancelled has not.
func decided(s rollout.Step) bool {
	return s.Status == rollout.StepPassed || s.Status == rollout.StepFailed || s.Status == rollout.StepInconclusive
}

// proof is what the gates of each service found in the end.
func proof(r rollout.Rollout) mrkdwn {
	var lines []mrkdwn
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		for _, s := range []*rollout.Step{lastGate(r, service), lastLatency(r, service)} {
			if s == nil || !decided(*s) {
				continue
			}
			line := escape(s.Note)
			if len(r.Services) > 1 {
				line = say("%s: %s", service, line)
			}
			lines = append(lines, line)
		}
	}
	return sentences("\n", lines...)
}

// approvals says who approved, each person once.
func approvals(r rollout.Rollout) mrkdwn {
	var by []mrkdwn
	for _, ask := range r.Asks {
		for _, vote := range ask.Votes {
			if who := mention(vote.By.ID, vote.By.Name); !slices.Contains(by, who) {
				by = append(by, who)
			}
		}
	}
	if len(by) == 0 {
		return ""
	}
	return say("Approved by %s.", sentences(", ", by...))
}
