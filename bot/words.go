package bot

import (
	"fmt"
	"maps"
	"regexp"
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

var generated = regexp.MustCompile(`^(\d{5})-[a-z0-9]{3}$`)

// shortRevision is a revision's name without its service's: 00041 for netra-backend-staging-00041-abc.
func shortRevision(s rollout.Service) string {
	name := strings.TrimPrefix(s.Stable.Name, s.CloudRun+"-")
	if parts := generated.FindStringSubmatch(name); parts != nil {
		return parts[1]
	}
	return plain(name, 30)
}

// old names where traffic goes back to.
func old(r rollout.Rollout) string {
	if len(r.Services) == 1 {
		for _, s := range r.Services {
			if s.Stable.Name != "" {
				return shortRevision(s)
			}
		}
	}
	return "the old revision"
}

// headline is the one sentence that says what this is and how it stands.
func headline(r rollout.Rollout) mrkdwn {
	if r.Status == rollout.Ended && r.End != nil {
		return say("*%s: %s*%s", ending(r), subject(r), errorsAtEnd(r))
	}
	return say("*%s*: %s", subject(r), standing(r))
}

func ending(r rollout.Rollout) string {
	switch r.End.Result {
	case rollout.Succeeded:
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
			return "Expired"
		}
	}
	return "Stopped"
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
	switch {
	case r.Status == rollout.Returning:
		return "traffic goes back to " + old(r)
	case r.Stop != nil:
		return "stopping"
	case r.Status == rollout.Waiting:
		if ask := firstOpen(r); ask != nil && ask.Kind == rollout.AskApproval {
			return "waiting for approval"
		}
		return "waiting for a decision"
	}
	return progress(r)
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
			at = fmt.Sprintf("phase %d of %d, ", i+1, planned(r))
		}
		if len(busy) == 1 {
			return at + plain(busy[0], 100)
		}
		return at + plain(phase.Name, 100)
	}
	return "finishing"
}

// planned counts the phases of the plan, without those that rollouts add.
func planned(r rollout.Rollout) int {
	n := 0
	for _, phase := range r.Phases {
		if !phase.Added {
			n++
		}
	}
	return n
}

func firstOpen(r rollout.Rollout) *rollout.Ask {
	for i := range r.Asks {
		if r.Asks[i].Answer == nil {
			return &r.Asks[i]
		}
	}
	return nil
}

// origin is what was asked for, by whom and when.
func origin(r rollout.Rollout) mrkdwn {
	return say("%s · started by %s %s", version(r), mention(r.By.ID, r.By.Name), ago(r.Created))
}

// lastGate is the error_rate gate that says most now: the one that was started last, of the service or,
// with "", of all. nil if none has counted yet.
func lastGate(r rollout.Rollout, service string) *rollout.Step {
	var last *rollout.Step
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			s := &r.Phases[pi].Steps[si]
			if s.Gate == nil || s.Spec.ErrorRate == nil || s.Status == rollout.StepCancelled || service != "" && s.Spec.ErrorRate.Service != service {
				continue
			}
			if last == nil || !s.Started.Before(last.Started) {
				last = s
			}
		}
	}
	return last
}

// decided reports whether a gate has come to a verdict of its own; one that was cancelled has not.
func decided(s rollout.Step) bool {
	return s.Status == rollout.StepPassed || s.Status == rollout.StepFailed || s.Status == rollout.StepInconclusive
}

// proof is what the gates of each service found in the end.
func proof(r rollout.Rollout) mrkdwn {
	var lines []mrkdwn
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		s := lastGate(r, service)
		if s == nil || !decided(*s) {
			continue
		}
		line := escape(s.Note)
		if len(r.Services) > 1 {
			line = say("%s: %s", service, line)
		}
		lines = append(lines, line)
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
