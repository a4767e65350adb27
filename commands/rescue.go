package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"slipway/plan"
	"slipway/rollout"
)

// This file is the way back while the store is away. It needs Cloud Run, whose etag is its fence, and
// Slack, which says who may. A rollout that runs meanwhile finds its service changed before its next
// change, and stops.

// Rescuer sends a service back by what the cloud alone knows.
type Rescuer interface {
	// Rescue sends all traffic of a service to the revision with the name ("": the one that served before),
	// and returns once it has moved. say is told what is done, a sentence each. A *rollout.Failure says what
	// people can do about an error.
	Rescue(ctx context.Context, s plan.Service, name string, say func(string)) error
}

// Back is where a button says that traffic goes. It is on the button, so that it is known without the
// store; who may is checked against deploy.yaml as always.
type Back struct {
	Target    string            // of the rollout
	Revisions map[string]string // by service
}

// Way is the way back of a service; Revision "" is the one that served before.
type Way struct {
	Service  *plan.Service
	Revision string
}

// Urgent reports whether a request asks for the way back, which does not wait for the store. It does no I/O.
func (h *Handler) Urgent(req Request) bool {
	switch {
	case req.Click != nil:
		return req.Click.Back != nil
	case req.Turn != nil, req.Show != "":
		return false
	}
	cmd, err := Parse(req.Text)
	return err == nil && cmd.Verb == Rollback
}

// Rescue does what an urgent request asks for without the store, if its actor may, and says how it begins
// and how it went. Doing it again changes nothing: the traffic is set to a value.
func (h *Handler) Rescue(ctx context.Context, req Request, say func(Reply)) {
	target, ways, no := h.waysBack(req)
	if no != "" {
		say(Reply{Text: no})
		return
	}
	env := h.File().Environment(target.Environment)
	if err := Authorize(ctx, h.Directory, req.Actor, rollout.VerbRollback, Subject{Environment: env, Target: target}); err != nil {
		say(h.refused(ctx, req, err))
		return
	}
	h.Log.WarnContext(ctx, "rolling back without the store", "env", target.Environment, "target", target.String(), "actor", req.Actor.ID, "request", req.ID)
	say(Reply{Text: fmt.Sprintf("Slipway cannot use its store (Redis) now, so %s goes back straight at Cloud Run. That takes some seconds.", target)})
	var mu sync.Mutex
	last := map[string]string{} // what was said of a service
	stuck := BringBack(ctx, h.Rescuer, ways, func(service, text string) {
		mu.Lock()
		defer mu.Unlock()
		last[service] = text
	})
	say(h.rescued(ctx, req, target, last, stuck))
}

// waysBack are what an urgent request wants to go back; no says why there is nothing.
func (h *Handler) waysBack(req Request) (target plan.Target, ways []Way, no string) {
	file := h.File()
	wanted, revision, named := "", "", map[string]string(nil)
	if req.Click != nil {
		wanted, named = req.Click.Back.Target, req.Click.Back.Revisions
	} else if cmd, err := Parse(req.Text); err == nil {
		wanted, revision = cmd.Target, cmd.What
	}
	target, ok := findTarget(file, wanted)
	if !ok {
		return target, nil, unknown(file, "target", wanted, nil)
	}
	env := file.Environment(target.Environment)
	if len(named) > 0 {
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if s := env.Service(name); s != nil && (target.Service == "" || target.Service == name) {
				ways = append(ways, Way{s, named[name]})
			}
		}
		if len(ways) == 0 {
			return target, nil, "deploy.yaml does not have the services of this rollout any more. Nothing was done."
		}
		return target, ways, ""
	}
	if revision != "" && target.Service == "" && len(env.Services) > 1 {
		return target, nil, oneService(env, target, revision)
	}
	for _, s := range env.Services {
		if target.Service == "" || target.Service == s.Name {
			ways = append(ways, Way{s, revision})
		}
	}
	return target, ways, ""
}

// BringBack sends services back side by side: one that cannot be helped keeps back no other. say is told
// what is done, of several services at a time; what is returned is those that did not go back.
func BringBack(ctx context.Context, by Rescuer, ways []Way, say func(service, text string)) []*Stuck {
	found := make([]*Stuck, len(ways))
	var work sync.WaitGroup
	for i, way := range ways {
		work.Go(func() {
			name := way.Service.Name
			err := by.Rescue(ctx, *way.Service, way.Revision, func(text string) { say(name, text) })
			if err != nil {
				found[i] = &Stuck{name, err}
			}
		})
	}
	work.Wait()
	return slices.DeleteFunc(found, func(s *Stuck) bool { return s == nil })
}

// Stuck is a service that did not go back.
type Stuck struct {
	Service string
	Err     error
}

// Reason is what people are told of it, with the command that helps; ok is false if the error was not made for
// people.
func (s *Stuck) Reason() (text string, ok bool) {
	failure, ok := errors.AsType[*rollout.Failure](s.Err)
	if !ok {
		return "", false
	}
	return strings.TrimSuffix(failure.Reason+"\n"+failure.Detail, "\n"), true
}

// rescued says what went back and what did not, and what nobody will find on record. All of the channel
// is told of what was done.
func (h *Handler) rescued(ctx context.Context, req Request, target plan.Target, last map[string]string, stuck []*Stuck) Reply {
	var trouble []string
	for _, s := range stuck {
		h.Log.ErrorContext(ctx, "a service did not go back", "target", target.String(), "service", s.Service, "request", req.ID, "err", s.Err)
		delete(last, s.Service)
		trouble = append(trouble, inDoubt(s))
	}
	if len(last) == 0 {
		return Reply{Text: fmt.Sprintf("%s was not rolled back.\n%s", target, strings.Join(trouble, "\n"))}
	}
	lines := []string{fmt.Sprintf("%s rolled back %s without Redis, straight at Cloud Run.", actor(req.Actor), target)}
	for _, service := range slices.Sorted(maps.Keys(last)) {
		lines = append(lines, fmt.Sprintf("%s: %s", service, sentence(last[service])))
	}
	lines = append(lines, trouble...)
	lines = append(lines, fmt.Sprintf("This is not in the history, and %s is not locked by it: `/deploy lock %[1]s` does that once Redis is back. "+
		"A rollout that is still under way finds its service changed before its next change, and stops.", target))
	return Reply{Text: strings.Join(lines, "\n"), Public: true, Done: len(stuck) == 0}
}

// inDoubt is what the channel is told of a service that did not go back.
func inDoubt(s *Stuck) string {
	if reason, ok := s.Reason(); ok {
		return s.Service + ": " + unmarked(reason)
	}
	return s.Service + ": Google Cloud did not answer as it should, and traffic may have moved or not. Try again: what is back already stays as it is."
}
