package state

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// remembered is how many ended rollouts of an environment Origin looks through.
const remembered = 50

// Verifying returns the revisions that active rollouts are about to judge, in the order in which those began.
func (s *Store) Verifying(ctx context.Context) ([]incident.Verification, error) {
	active, err := s.Active(ctx)
	if err != nil {
		return nil, err
	}
	var list []incident.Verification
	for _, r := range active {
		services := r.Verifying()
		for _, name := range slices.Sorted(maps.Keys(services)) {
			list = append(list, incident.Verification{
				Target:   plan.Target{Environment: r.Target.Environment, Service: name},
				Revision: r.Services[name].Candidate.Name, Since: services[name],
			})
		}
	}
	return list, nil
}

// Origin finds the newest rollout that moved traffic of a service to a revision: one that is active, or one of the
// last of the environment that have ended. A rollback is the origin of what it went back to. It reads whole
// snapshots, so ask once for a revision.
func (s *Store) Origin(ctx context.Context, t plan.Target, revision string) (incident.Origin, bool, error) {
	r, err := s.bringing(ctx, t, revision)
	if err != nil || r == nil {
		return incident.Origin{}, false, err
	}
	o := incident.Origin{Rollout: r.ID, By: incident.Person{ID: r.By.ID, Name: r.By.Name}, At: r.Created}
	if r.End != nil {
		o.At, o.Ended = r.End.At, true
	}
	card, err := s.card(ctx, r.ID)
	if err != nil {
		return incident.Origin{}, false, err
	}
	if card.TS != "" {
		o.Channel, o.TS = card.Channel, card.TS
	}
	return o, true, nil
}

// bringing returns the newest rollout that brought a revision, nil if none is known to.
func (s *Store) bringing(ctx context.Context, t plan.Target, revision string) (*rollout.Rollout, error) {
	active, err := s.Active(ctx)
	if err != nil {
		return nil, err
	}
	slices.Reverse(active)
	if r := bringer(active, t, revision); r != nil {
		return r, nil
	}
	past, err := s.History(ctx, t.Environment, remembered)
	if err != nil {
		return nil, err
	}
	return bringer(past, t, revision), nil
}

func bringer(list []rollout.Rollout, t plan.Target, revision string) *rollout.Rollout {
	at := slices.IndexFunc(list, func(r rollout.Rollout) bool {
		return r.Target.Environment == t.Environment && r.Brought(t.Service, revision)
	})
	if at < 0 {
		return nil
	}
	return &list[at]
}

// card reads what is posted of a rollout, the zero Card if nothing is. It is kept as long as the rollout.
func (s *Store) card(ctx context.Context, id string) (Card, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	document, err := s.c.HGet(ctx, slipway.card(id), "card").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return Card{}, failed("card", err)
	}
	return parseCard(id, document)
}
