package incident

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"slipway/plan"
)

// What people ask any replica, and do at any replica, whoever has the watch.

// books are the books of all projects, as this replica knows them best.
func (m *Monitor) books(ctx context.Context) ([]Book, error) {
	var list []Book
	for _, p := range m.projects {
		if s := p.onDuty(); s != nil {
			list = append(list, s.desk.read())
			continue
		}
		read, err := m.load(ctx, p)
		if err != nil {
			return nil, err
		}
		list = append(list, read.book)
	}
	return list, nil
}

// Cases returns the incidents that people were told of and that are open, or ended in the last half hour,
// oldest first.
func (m *Monitor) Cases(ctx context.Context) ([]Case, error) {
	books, err := m.books(ctx)
	if err != nil {
		return nil, err
	}
	var list []Case
	for _, b := range books {
		for _, t := range b.Threads {
			list = append(list, m.caseOf(b, t))
		}
	}
	slices.SortStableFunc(list, func(a, b Case) int { return a.Thread.Opened.Compare(b.Thread.Opened) })
	return list, nil
}

// caseOf is a case with what the book alone knows of it.
func (m *Monitor) caseOf(b Book, t Thread) Case {
	c := Case{Thread: t, Incidents: b.Of(t.ID), About: map[plan.Target]About{}, Now: time.Now().UTC()}
	for _, i := range c.Incidents {
		target := i.Key.Target
		about := About{Source: b.source(target).Note}
		if at := slices.IndexFunc(m.Services, func(s Service) bool { return s.Target == target }); at >= 0 {
			about.Service = m.Services[at]
		}
		c.About[target] = about
	}
	return c
}

// Act does something about the incident with an ID, or about all of its thread, and returns the case. An error
// of type Refusal is for people.
func (m *Monitor) Act(ctx context.Context, id string, act func(Incident) (Incident, error)) (Case, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	for _, p := range m.projects {
		var c Case
		err := m.change(ctx, p, func(b *Book) error {
			thread := b.Thread(b.threadOf(id))
			if thread == nil {
				return errNotHere
			}
			if _, err := b.Act(id, act); err != nil {
				return err
			}
			b.Date(time.Now().UTC())
			c = m.caseOf(*b, *thread)
			return nil
		})
		if !errors.Is(err, errNotHere) {
			return c, err
		}
	}
	return Case{}, unknown(id)
}

var errNotHere = errors.New("not in this project")

// change changes a project's book, here or in the store.
func (m *Monitor) change(ctx context.Context, p *project, edit func(*Book) error) error {
	if s := p.onDuty(); s != nil {
		err := s.desk.change(ctx, edit)
		wake(s.news)
		return err
	}
	return m.changeStored(ctx, p, edit)
}

// changeStored changes a project's book as one who does not have the watch.
func (m *Monitor) changeStored(ctx context.Context, p *project, edit func(*Book) error) error {
	read, err := m.load(ctx, p)
	if err != nil {
		return err
	}
	return newDesk(m.Store, p.name, "", read).change(ctx, edit)
}

// unattended is how long ago nobody may have looked at services that are watched.
const unattended = 2 * time.Minute

// Sources says of each service that is watched where its numbers come from; services at which nobody looks are
// left out.
func (m *Monitor) Sources(ctx context.Context) ([]Source, error) {
	books, err := m.books(ctx)
	if err != nil {
		return nil, err
	}
	var list []Source
	for _, b := range books {
		if time.Since(b.Observed) < unattended {
			list = append(list, b.Sources...)
		}
	}
	return list, nil
}
