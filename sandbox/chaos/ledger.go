package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc"
)

// ledger is what was really done in the cloud. It stands behind the faults, so that it has also what was
// done and whose answer got lost.
type ledger struct {
	mu      sync.Mutex
	effects []effect
	sought  map[string]bool // executions that somebody asked to cancel
}

// effect is one change of the cloud. Its key is what must not happen twice.
type effect struct {
	service   string // or job, short
	key       string
	execution string // of a job
}

func newLedger() *ledger { return &ledger{sought: map[string]bool{}} }

// intercept sees every call of Cloud Run.
func (l *ledger) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	switch req := req.(type) {
	case *runpb.CancelExecutionRequest:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sought[req.GetName()] = true
	case *runpb.UpdateServiceRequest:
		if err == nil && !req.GetValidateOnly() {
			l.updated(req)
		}
	case *runpb.RunJobRequest:
		if op, ok := res.(*longrunningpb.Operation); ok && err == nil && !req.GetValidateOnly() {
			l.ran(req, op)
		}
	}
	return res, err
}

// The marks by which Slipway finds what it did; see package gcp.
const (
	attemptNote = "slipway-attempt"
	keyVariable = "SLIPWAY_KEY"
)

// updated notes a deploy by its attempt, and a shift of traffic by what it asks for. Shifts have no mark:
// each belongs to the deploy before it, since a service has one rollout at a time. Asking for what is so
// already changes nothing.
func (l *ledger) updated(req *runpb.UpdateServiceRequest) {
	name := short(req.GetService().GetName())
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(req.GetUpdateMask().GetPaths(), "template") {
		l.effects = append(l.effects, effect{service: name, key: "deploy " + req.GetService().GetTemplate().GetAnnotations()[attemptNote]})
		return
	}
	key := l.lastDeploy(name) + ", then" + targets(req.GetService().GetTraffic())
	if last := l.last(name); last != nil && last.key == key {
		return
	}
	l.effects = append(l.effects, effect{service: name, key: key})
}

func (l *ledger) ran(req *runpb.RunJobRequest, op *longrunningpb.Operation) {
	var execution runpb.Execution
	if err := op.GetMetadata().UnmarshalTo(&execution); err != nil {
		execution.Name = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range req.GetOverrides().GetContainerOverrides() {
		for _, v := range o.GetEnv() {
			if v.GetName() == keyVariable {
				l.effects = append(l.effects, effect{service: short(req.GetName()), key: "run " + v.GetValue(), execution: execution.GetName()})
			}
		}
	}
}

func (l *ledger) last(service string) *effect {
	for i := range slices.Backward(l.effects) {
		if l.effects[i].service == service {
			return &l.effects[i]
		}
	}
	return nil
}

func (l *ledger) lastDeploy(service string) string {
	for _, e := range slices.Backward(l.effects) {
		if e.service == service && strings.HasPrefix(e.key, "deploy ") && !strings.Contains(e.key, ",") {
			return e.key
		}
	}
	return "no deploy"
}

func targets(traffic []*runpb.TrafficTarget) string {
	var out strings.Builder
	for _, t := range traffic {
		name := t.GetRevision()
		if name == "" {
			name = "LATEST"
		}
		fmt.Fprintf(&out, " %d%% to %s", t.GetPercent(), name)
	}
	return out.String()
}

func short(full string) string { return full[strings.LastIndexByte(full, '/')+1:] }

// count is how many effects there were.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.effects)
}

// doubled lists the effects that happened more than once. A second run of a job that was found by its
// key and told to stop is none: RunJob has no precondition, so that looking afterwards is all there is.
func (l *ledger) doubled() (keys []string, stopped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := map[string]int{}
	for _, e := range l.effects {
		times[e.key]++
	}
	for _, e := range l.effects {
		if times[e.key] > 1 && l.sought[e.execution] {
			times[e.key]--
			stopped++
		}
	}
	for _, e := range l.effects {
		if times[e.key] > 1 && !slices.Contains(keys, e.key) {
			keys = append(keys, e.key)
		}
	}
	return keys, stopped
}
