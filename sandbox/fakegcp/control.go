package fakegcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
)

// State is what is in the cloud now.
type State struct {
	Services []ServiceState `json:"services"`
	Jobs     []JobState     `json:"jobs"`
	Tails    int            `json:"tails"` // open TailLogEntries sessions
}

// ServiceState is one service; Traffic is what is in effect, not what is asked for.
type ServiceState struct {
	Name          string          `json:"name"`
	URI           string          `json:"uri"`
	Etag          string          `json:"etag"`
	Generation    int64           `json:"generation"`
	Reconciling   bool            `json:"reconciling"`
	Condition     string          `json:"condition"` // of the service: CONDITION_SUCCEEDED, …
	Message       string          `json:"message,omitempty"`
	LatestCreated string          `json:"latest_created"`
	LatestReady   string          `json:"latest_ready"`
	RPS           float64         `json:"rps"`
	Traffic       []TrafficState  `json:"traffic"`
	Revisions     []RevisionState `json:"revisions"` // oldest first
}

// TrafficState is one traffic target in effect.
type TrafficState struct {
	Revision string `json:"revision"` // also for a target that follows LATEST
	Latest   bool   `json:"latest,omitempty"`
	Percent  int    `json:"percent"`
	Tag      string `json:"tag,omitempty"`
	URI      string `json:"uri,omitempty"`
}

// RevisionState is one revision and what it has answered since it was made, history included.
type RevisionState struct {
	Name      string  `json:"name"`
	Image     string  `json:"image"`
	Ready     bool    `json:"ready"`
	Failure   string  `json:"failure,omitempty"`
	ErrorRate float64 `json:"error_rate"` // as set for now, not as counted
	Requests  int64   `json:"requests"`
	Errors    int64   `json:"errors"`
}

// JobState is one job and its executions, oldest first.
type JobState struct {
	Name       string           `json:"name"`
	Image      string           `json:"image"`
	Etag       string           `json:"etag"`
	Executions []ExecutionState `json:"executions"`
}

// ExecutionState is one execution; Condition is CONDITION_RECONCILING until it ends.
type ExecutionState struct {
	Name      string   `json:"name"`
	Args      []string `json:"args"`
	Condition string   `json:"condition"`
	Message   string   `json:"message,omitempty"`
}

// State returns a snapshot.
func (c *Cloud) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := State{Services: []ServiceState{}, Jobs: []JobState{}, Tails: len(c.tails)}
	for _, svc := range sorted(c.services) {
		out.Services = append(out.Services, svc.state())
	}
	for _, j := range sorted(c.jobs) {
		out.Jobs = append(out.Jobs, j.state())
	}
	return out
}

func (s *service) state() ServiceState {
	p := s.proto
	out := ServiceState{
		Name: s.name, URI: p.GetUri(), Etag: p.GetEtag(), Generation: p.GetGeneration(), Reconciling: p.GetReconciling(),
		Condition: p.GetTerminalCondition().GetState().String(), Message: p.GetTerminalCondition().GetMessage(),
		LatestCreated: lastPart(p.GetLatestCreatedRevision()), LatestReady: lastPart(p.GetLatestReadyRevision()), RPS: s.rps,
		Traffic: []TrafficState{}, Revisions: []RevisionState{},
	}
	for i, r := range s.routes {
		st := p.GetTrafficStatuses()[i]
		out.Traffic = append(out.Traffic, TrafficState{
			Revision: r.revision.name, Latest: st.GetType() == followLatest, Percent: int(r.percent), Tag: r.tag, URI: st.GetUri(),
		})
	}
	for _, rev := range s.revisions {
		out.Revisions = append(out.Revisions, RevisionState{
			Name: rev.name, Image: rev.proto.GetContainers()[0].GetImage(), Ready: rev.outcome == ready, Failure: rev.failure,
			ErrorRate: rev.errorRate(time.Now()), Requests: rev.requests, Errors: rev.errors,
		})
	}
	return out
}

func (j *job) state() JobState {
	out := JobState{
		Name: j.name, Image: firstImage(j.proto.GetTemplate().GetTemplate().GetContainers()), Etag: j.proto.GetEtag(),
		Executions: []ExecutionState{},
	}
	for _, e := range j.executions {
		cond := e.proto.GetConditions()[0]
		out.Executions = append(out.Executions, ExecutionState{
			Name: lastPart(e.proto.GetName()), Args: e.proto.GetTemplate().GetContainers()[0].GetArgs(),
			Condition: cond.GetState().String(), Message: cond.GetMessage(),
		})
	}
	return out
}

func firstImage(containers []*runpb.Container) string {
	if len(containers) == 0 {
		return ""
	}
	return containers[0].GetImage()
}

// ControlHandler lets tests and scripts drive the cloud in JSON: POST /_control/traffic, /_control/touch,
// /_control/deny and /_control/fault, GET /_control/journal and /_control/state. It has no authentication and belongs on loopback.
func (c *Cloud) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_control/traffic", func(w http.ResponseWriter, r *http.Request) {
		var req TrafficRequest
		control(w, r, &req, func() error { return c.Traffic(req) })
	})
	mux.HandleFunc("POST /_control/touch", func(w http.ResponseWriter, r *http.Request) {
		var req TouchRequest
		control(w, r, &req, func() error { return c.Touch(req) })
	})
	mux.HandleFunc("POST /_control/deny", func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Permissions []string `json:"permissions"`
		}
		control(w, r, &req, func() error { c.Deny(req.Permissions...); return nil })
	})
	mux.HandleFunc("POST /_control/fault", func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Target string `json:"target"`
			Fault
		}
		control(w, r, &req, func() error {
			if req.Target != "gcp" {
				return fmt.Errorf("target %q: want gcp", req.Target)
			}
			return c.Fault(req.Fault)
		})
	})
	mux.HandleFunc("GET /_control/journal", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, c.Journal()) })
	mux.HandleFunc("GET /_control/state", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, c.State()) })
	return mux
}

// control decodes a request, carries it out and says how it went.
func control(w http.ResponseWriter, r *http.Request, into any, do func() error) {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("more than one JSON value")
	}
	if err == nil {
		err = do()
	}
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]any{"ok": false, "error": err.Error()})
		return
	}
	reply(w, http.StatusOK, map[string]any{"ok": true})
}
