package rollout

import (
	"strings"

	"slipway/plan"
)

// ProbeAgent begins the user agent of every request that Slipway itself makes to what it rolls out.
// A RequestLog counts such requests apart from users': they are evidence of their own step, and a gate
// must not be passed unawares by the requests that test it.
const ProbeAgent = "Slipway-Probe"

// GateAgent begins the user agent of a gate's test requests. Only they are counted as such: a step may make requests
// that are meant to fail.
const GateAgent = ProbeAgent + "-Gate"

// Expand fills in the ${…} of s that name the task's services. The error names the reference that is
// not known, or not known yet: a candidate's before it was deployed.
func (t Task) Expand(s string) (string, error) { return plan.Expand(s, Vars(t.Services)) }

// Vars looks up ${SERVICE.…}: url, ws_url, image, revision, candidate.url and candidate.ws_url. What
// a service does not have yet is not known, so that nothing is ever sent to half an address.
func Vars(services map[string]Service) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		service, field, _ := strings.Cut(name, ".")
		s, ok := services[service]
		if !ok {
			return "", false
		}
		value := s.variable(field)
		return value, value != ""
	}
}

func (s Service) variable(field string) string {
	switch field {
	case "url":
		return s.URL
	case "ws_url":
		return webSocketURL(s.URL)
	case "candidate.url":
		return s.Candidate.URL
	case "candidate.ws_url":
		return webSocketURL(s.Candidate.URL)
	case "revision":
		return s.Candidate.Name
	case "image":
		if s.Image.Digest == "" {
			return ""
		}
		return s.Image.Reference()
	}
	return ""
}

// webSocketURL turns http into ws and https into wss.
func webSocketURL(u string) string {
	if rest, ok := strings.CutPrefix(u, "http"); ok {
		return "ws" + rest
	}
	return u
}
