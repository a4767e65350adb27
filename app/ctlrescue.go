package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"slipway/commands"
)

// rescue rolls back without Redis, Slack or history: it asks Cloud Run what to return to, and fences
// with the service's etag. why begins the sentence that says so; nobody is why it is not known who asks.
//
// A rollout that is under way meanwhile does not undo it: before its next change of the service it reads
// it, finds that someone else has changed it, and stops.
func (s *session) rescue(ctx context.Context, why string, nobody error) error {
	if s.who != nil && s.who.Robot != "" && !slices.Contains(s.who.May, s.order.verb) {
		return fmt.Errorf("%s may not do `rollback`: `may` of %s in deploy.yaml has %s only. Nothing was done", s.actor().Name, s.account, strings.Join(s.who.May, ", "))
	}
	command, err := commands.Parse(s.order.text)
	if err != nil {
		return misuse(err.Error())
	}
	ways, err := s.toRescue(command.What)
	if err != nil {
		return err
	}
	if err := s.openCloud(ctx); err != nil {
		return err
	}
	s.tell("%s goes straight to Cloud Run, where the rights of %s decide. It cannot be written into the history, and %s is not locked afterwards. "+
		"A rollout may be under way there: before its next change it finds the service changed, and stops.", why, s.credentials(nobody), s.target)
	var one sync.Mutex
	stuck := commands.BringBack(ctx, s.cloud, ways, func(service, text string) {
		one.Lock()
		defer one.Unlock()
		s.tell("%s: %s", service, text)
	})
	err = errorOf(stuck)
	text := fmt.Sprintf("Rolled back %s, without a word in the history: tell the others, and lock %s once Redis is back.", s.target, s.target)
	if err != nil {
		text = err.Error()
	} else {
		s.tell("%s", text)
	}
	return errors.Join(err, s.printJSON(ctx, report{Done: err == nil, Text: text}))
}

// toRescue are the services of the target, with the revision that they go back to.
func (s *session) toRescue(revision string) ([]commands.Way, error) {
	env := s.File.Environment(s.target.Environment)
	if s.target.Service != "" {
		return []commands.Way{{Service: env.Service(s.target.Service), Revision: revision}}, nil
	}
	if revision != "" && len(env.Services) > 1 {
		return nil, misuse(fmt.Sprintf("a revision belongs to one service: say which, as in slipway ctl rollback %s/%s %s", env.Name, env.Services[0].Name, revision))
	}
	var ways []commands.Way
	for _, service := range env.Services {
		ways = append(ways, commands.Way{Service: service, Revision: revision})
	}
	return ways, nil
}

// errorOf is the services that did not go back, a line each or more with the command that helps; nil if all did.
func errorOf(stuck []*commands.Stuck) error {
	var errs []error
	for _, s := range stuck {
		text, ok := s.Reason()
		if !ok {
			text = s.Err.Error()
		}
		errs = append(errs, fmt.Errorf("%s: %s", s.Service, text))
	}
	return errors.Join(errs...)
}

// credentials names the account that acts, if that is known.
func (s *session) credentials(nobody error) string {
	switch {
	case s.account == "":
		return "the credentials (not known whose: " + strings.TrimSuffix(nobody.Error(), ". Nothing was done") + ")"
	case s.who == nil:
		return s.account
	}
	return fmt.Sprintf("%s (%s)", s.account, s.actor().Name)
}

func (s *session) tell(format string, args ...any) {
	fmt.Fprintln(s.printTo(), visibleText(fmt.Sprintf(format, args...)))
}
