package app

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// report is what --json prints. Its keys stay; new ones may be added.
type report struct {
	Done     bool       `json:"done"`
	Text     string     `json:"text"`
	Rollout  *summary   `json:"rollout,omitempty"`
	Rollouts *[]summary `json:"rollouts,omitempty"` // of status
}

// summary is a rollout without its plan and its evidence.
type summary struct {
	ID       string                    `json:"id"`
	Kind     string                    `json:"kind"` // deployment or rollback
	Target   string                    `json:"target"`
	Status   rollout.Status            `json:"status"`
	Result   rollout.Result            `json:"result,omitempty"`
	Reason   string                    `json:"reason,omitempty"`
	By       string                    `json:"by"`
	Created  time.Time                 `json:"created"`
	Ended    time.Time                 `json:"ended,omitzero"`
	Services map[string]serviceSummary `json:"services"`
	Waiting  []waitingFor              `json:"waiting,omitempty"`
}

type serviceSummary struct {
	Stable    string `json:"stable"`
	Candidate string `json:"candidate,omitempty"`
	Image     string `json:"image,omitempty"`
	Percent   int    `json:"percent"` // of the traffic on the candidate
}

type waitingFor struct {
	Ask      string         `json:"ask"`
	Question string         `json:"question"`
	Who      []string       `json:"who,omitempty"`
	Until    time.Time      `json:"until"`
	Answers  []rollout.Verb `json:"answers"`
}

func (t terminal) summarize(r *rollout.Rollout) summary {
	s := summary{
		ID: r.ID, Kind: cmp.Or(string(r.Kind), "deployment"), Target: r.Target.String(), Status: r.Status,
		By: nameIn(r.By), Created: r.Created, Services: map[string]serviceSummary{},
	}
	if r.End != nil {
		s.Result, s.Reason, s.Ended = r.End.Result, r.End.Reason, r.End.At
	}
	for name, v := range r.Services {
		s.Services[name] = serviceSummary{Stable: v.Stable.Name, Candidate: v.Candidate.Name, Image: v.Image.Digest, Percent: v.Percent}
	}
	for _, a := range r.Asks {
		if a.Answer == nil {
			s.Waiting = append(s.Waiting, waitingFor{Ask: a.ID, Question: a.Question, Who: t.askedOf(r, a), Until: a.Deadline, Answers: a.Options})
		}
	}
	return s
}

// askedOf names those who may answer; none: everyone.
func (t terminal) askedOf(r *rollout.Rollout, a rollout.Ask) []string {
	var names []string
	who := a.Who
	if len(who) == 0 {
		who = r.Environment.DeployersOf(r.Target)
	}
	for _, w := range who {
		names = append(names, t.person(w))
	}
	return names
}

// printJSON prints the report if it was asked for; that of a status with all rollouts it is about.
func (s *session) printJSON(ctx context.Context, r report) error {
	if !s.order.JSON {
		return nil
	}
	if s.order.verb == "status" && r.Done {
		active, err := s.active(ctx)
		if err != nil {
			return err
		}
		list := []summary{}
		for _, a := range active {
			if !s.known || concern(a.Target, s.target) {
				list = append(list, s.terminal.summarize(&a))
			}
		}
		r.Rollouts = &list
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// concern reports whether two targets have a service in common.
func concern(a, b plan.Target) bool {
	return a.Environment == b.Environment && (a.Service == "" || b.Service == "" || a.Service == b.Service)
}
