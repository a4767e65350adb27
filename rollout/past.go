package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// remembered is how many ended rollouts of an environment are looked through.
const remembered = 50

// failedBefore says, a sentence each, which services are about to get an image that failed the last
// time it was rolled out, or that people have rolled back since. past is newest first.
func failedBefore(past []Rollout, services map[string]Service) []string {
	var sentences []string
	for _, name := range slices.Sorted(maps.Keys(services)) {
		image := services[name].Image
		if last := lastWith(past, name, image.Digest); last != nil {
			if how := last.howItFailed(); how != "" {
				sentences = append(sentences, fmt.Sprintf("%s of %s %s", image.short(), name, how))
			}
		}
	}
	return sentences
}

// lastWith is the newest rollout that says something of an image of the service: a deployment that
// brought it as far as a revision, or a rollback away from it.
func lastWith(past []Rollout, service, digest string) *Rollout {
	for i := range past {
		r := &past[i]
		s, ok := r.Services[service]
		deployed := ok && r.Kind == Deployment && s.Image.Digest == digest && r.tried(service)
		left := ok && r.Kind == Rollback && r.End.Result == Succeeded && strings.HasSuffix(s.OldImage, "@"+digest)
		if deployed || left {
			return r
		}
	}
	return nil
}

// howItFailed is the end of a sentence about what an ended rollout says of an image; "" if it passed.
func (r *Rollout) howItFailed() string {
	at := r.End.At.UTC().Format("Jan 2 15:04 MST")
	switch {
	case r.Kind == Rollback:
		return because(fmt.Sprintf("was rolled back by %s at %s", r.By.Name, at), r.Lock.Reason)
	case r.FailedLate():
		return fmt.Sprintf("failed at %s, after it had passed: %s", r.Watch.Outcome.At.UTC().Format("Jan 2 15:04 MST"), r.Watch.Outcome.Note)
	case r.End.Result == Succeeded:
		return ""
	case r.End.Result == RolledBack:
		return fmt.Sprintf("was rolled back at %s: %s", at, r.End.Reason)
	}
	return fmt.Sprintf("failed at %s: %s", at, r.End.Reason)
}

// tried reports whether the rollout came to deploy the service, and was not stopped by a person.
func (r *Rollout) tried(service string) bool {
	if r.Stop != nil && (r.Stop.Cause == StopAborted || r.Stop.Cause == StopRejected) {
		return false
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.Deploy != nil && s.Spec.Deploy.Service == service && s.Attempt > 0 {
				return true
			}
		}
	}
	return false
}

// lastGood is the newest revision of the service that passed a rollout, other than the serving one
// and those that people have rolled back since; else the one that the serving one replaced; else "".
func lastGood(past []Rollout, service, serving string) string {
	bad := map[string]bool{serving: true}
	replaced := ""
	for _, r := range past {
		s, ok := r.Services[service]
		switch {
		case !ok || r.End.Result != Succeeded:
		case r.Kind == Rollback:
			bad[s.Stable.Name] = true
		case !bad[s.Candidate.Name] && !r.FailedLate():
			return s.Candidate.Name
		case replaced == "" && !bad[s.Stable.Name]:
			replaced = s.Stable.Name
		}
	}
	return replaced
}

// short is how people know an image: develop@3f9a1c2.
func (i Image) short() string {
	const digits = 7
	hex := i.Digest[min(len("sha256:"), len(i.Digest)):]
	if i.Tag == "" {
		return hex[:min(digits, len(hex))]
	}
	return i.Tag + "@" + hex[:min(digits, len(hex))]
}
