package rollout

import (
	"fmt"
	"maps"
	"slices"
)

// remembered is how many ended rollouts of an environment are looked through.
const remembered = 50

// failedBefore says, a sentence each, which services are about to get an image that failed the last
// time it was rolled out. past is newest first.
func failedBefore(past []Rollout, services map[string]Service) []string {
	var sentences []string
	for _, name := range slices.Sorted(maps.Keys(services)) {
		digest := services[name].Image.Digest
		if last := lastWith(past, name, digest); last != nil && last.End.Result != Succeeded {
			sentences = append(sentences, fmt.Sprintf("%s of %s %s at %s: %s",
				services[name].Image.short(), name, last.End.Result.verb(), last.End.At.UTC().Format("Jan 2 15:04 MST"), last.End.Reason))
		}
	}
	return sentences
}

// lastWith is the newest deployment that brought the service's image as far as a revision.
func lastWith(past []Rollout, service, digest string) *Rollout {
	for i := range past {
		s, ok := past[i].Services[service]
		if ok && past[i].Kind == Deployment && s.Image.Digest == digest && past[i].tried(service) {
			return &past[i]
		}
	}
	return nil
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
		case !bad[s.Candidate.Name]:
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

func (r Result) verb() string {
	if r == RolledBack {
		return "was rolled back"
	}
	return "failed"
}
