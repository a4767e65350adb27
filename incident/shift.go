package incident

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"slipway/plan"
)

const (
	saveEvery = 30 * time.Second
	// hearEvery is how often it is learnt what people did at other replicas.
	hearEvery = 2 * time.Second
	callTime  = 10 * time.Second
	// handover is for what is stored when a shift ends.
	handover = 2 * time.Second
)

// shift is the watch over a project while this replica has it.
type shift struct {
	m       *Monitor
	project *project
	log     *slog.Logger
	desk    *desk
	alone   atomic.Bool   // the store is away
	heard   time.Time     // when what people did at other replicas was learnt last; holdOn's
	news    chan struct{} // wakes whoever tells

	mu      sync.Mutex // of what follows, which the goroutines of the shift share
	watched []*subject
	blind   string // why nothing can be read, as a sentence; "": it can
	source  projectSource
	told    map[string]bool // the threads of which this shift tells
}

// subject is a service and what is known of it.
type subject struct {
	Service
	watch      *Watch
	posture    posture
	note       string             // why the log is not where its numbers come from, or is not whole, as a sentence
	turned     time.Time          // since when they come from where they do
	unread     bool               // they come from the metrics only because the log cannot be read
	unmeasured int                // minutes, one after the other, in which the metrics could not be read either
	origins    map[string]*Origin // by revision; nil: no rollout is known to have brought it
}

// begin goes on where the last shift ended, as far as the store tells.
func (m *Monitor) begin(ctx context.Context, p *project, alone bool) (*shift, error) {
	s := &shift{
		m: m, project: p, log: m.Log.With("project", p.name), news: make(chan struct{}, 1),
		desk: newDesk(m.Store, p.name, m.Owner, p.copied), told: map[string]bool{},
	}
	s.alone.Store(alone)
	s.desk.away.Store(alone)
	var kept map[string]subjectJSON
	if !alone {
		read, err := m.load(ctx, p)
		if err != nil {
			return nil, err
		}
		s.desk.at = read
		kept = s.kept(ctx)
	}
	for _, service := range p.services {
		sub, err := newSubject(service, rulesFor(service, len(m.Services)), kept[service.Target.String()])
		if err != nil {
			return nil, err
		}
		s.watched = append(s.watched, sub)
	}
	return s, nil
}

type subjectJSON struct {
	Watch   *Watch    `json:"watch"`
	Posture posture   `json:"posture"`
	Note    string    `json:"note,omitempty"`
	Turned  time.Time `json:"turned,omitzero"`
	Unread  bool      `json:"unread,omitempty"`
}

// kept is what was counted before. Without it, or when it cannot be read, the log of the last minutes is.
func (s *shift) kept(ctx context.Context) map[string]subjectJSON {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	data, err := s.m.Store.Watches(ctx, s.project.name)
	var kept map[string]subjectJSON
	if err == nil && data != nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		s.log.WarnContext(ctx, "what was counted before is not known", "err", err)
		return nil
	}
	return kept
}

func newSubject(service Service, rules Rules, kept subjectJSON) (*subject, error) {
	sub := &subject{Service: service, posture: kept.Posture, note: kept.Note, turned: kept.Turned, unread: kept.Unread, origins: map[string]*Origin{}}
	var err error
	if kept.Watch != nil {
		sub.watch, err = kept.Watch.Follow(rules)
	} else {
		sub.watch, err = NewWatch(service.Target, rules)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	if sub.turned.IsZero() {
		sub.turned = now
	}
	if fixed := service.Alerts.Source; fixed != plan.SourceAuto && sub.watch.metered != (fixed == plan.SourceMetrics) {
		sub.turn(fixed == plan.SourceMetrics, "", now)
	}
	return sub, nil
}

// run works until the watch is lost or ctx ends, then hands over.
func (s *shift) run(ctx context.Context) {
	s.log.InfoContext(ctx, "watching for incidents", "services", len(s.watched))
	work, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	lost := false
	running.Go(func() { defer stop(); lost = s.holdOn(work) })
	for _, loop := range []func(context.Context){s.read, s.measure, s.look, s.verify, s.stand, s.tell, s.notify} {
		running.Go(func() { loop(work) })
	}
	running.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), handover)
	defer cancel()
	if lost {
		s.doubt(last)
		return
	}
	if !s.alone.Load() {
		s.save(last)
	}
	s.m.yield(last, s.project)
}

// holdOn prolongs the watch until ctx ends, or reports that another replica has it. While the store is away it
// goes on.
func (s *shift) holdOn(ctx context.Context) (lost bool) {
	for ctx.Err() == nil {
		held, err := s.m.hold(ctx, s.project)
		switch {
		case err != nil && ctx.Err() == nil:
			s.goAlone(ctx, err)
		case err == nil && !held:
			s.log.WarnContext(ctx, "another replica watches for incidents now")
			return true
		case err == nil:
			if fenced := s.catchUp(ctx); fenced {
				return true
			}
		}
		sleep(ctx, holdEvery)
	}
	return false
}

func (s *shift) goAlone(ctx context.Context, err error) {
	s.desk.away.Store(true)
	if !s.alone.Swap(true) {
		s.log.ErrorContext(ctx, "the store is away: watching for incidents goes on from memory", "err", err)
		wake(s.news)
	}
}

// catchUp stores what could not be stored, and learns what people did at other replicas. It reports whether
// the watch is lost.
func (s *shift) catchUp(ctx context.Context) (fenced bool) {
	s.desk.away.Store(false)
	if s.alone.Swap(false) {
		s.log.InfoContext(ctx, "the store is back")
		wake(s.news)
	}
	if !s.desk.isUnsaved() && (!s.desk.busy() || time.Since(s.heard) < hearEvery) {
		return false
	}
	s.heard = time.Now()
	before := s.desk.saved().version
	if err := s.desk.refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "the incidents cannot be stored", "err", err)
		return errors.Is(err, ErrFenced)
	}
	if s.desk.saved().version != before {
		wake(s.news)
	}
	return false
}

// busy reports whether there is anything that people can have spoken of at another replica.
func (d *desk) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.at.book.Threads) > 0
}

// rounds does something about the book every second, and when it is woken.
func (s *shift) rounds(ctx context.Context, woken <-chan struct{}, round func(b Book, now time.Time)) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-ticker.C:
		}
		round(s.desk.read(), time.Now().UTC())
	}
}

// save keeps what was counted, for the next shift.
func (s *shift) save(ctx context.Context) {
	kept := map[string]subjectJSON{}
	s.mu.Lock()
	for _, sub := range s.watched {
		kept[sub.Target.String()] = subjectJSON{sub.watch, sub.posture, sub.note, sub.turned, sub.unread}
	}
	data, err := json.Marshal(kept)
	s.mu.Unlock()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, storeTime)
		defer cancel()
		err = s.m.Store.SaveWatches(ctx, s.project.name, s.m.Owner, data)
	}
	if err != nil {
		s.log.WarnContext(ctx, "what was counted is not stored", "err", err)
	}
}

// look judges every ten seconds.
func (s *shift) look(ctx context.Context) {
	ticker := time.NewTicker(width)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now().UTC()
		if !s.reading() {
			s.observe(ctx, now)
		}
		if now.Sub(last) >= saveEvery && !s.alone.Load() {
			s.save(ctx)
			last = now
		}
	}
}

// observe moves the incidents on by what is seen at a time.
func (s *shift) observe(ctx context.Context, now time.Time) {
	s.mu.Lock()
	readings := map[plan.Target][]Reading{}
	for _, sub := range s.watched {
		readings[sub.Target] = append(sub.watch.Look(now), sub.posture.readings(sub.Target, sub.Alerts, now)...)
	}
	sources := s.sources()
	s.mu.Unlock()
	err := s.desk.change(ctx, func(b *Book) error {
		for _, sub := range s.watched {
			b.Observe(sub.Target, readings[sub.Target], now)
		}
		b.forget(s.isWatched, now)
		b.Gather(s.channel, now)
		b.Date(now)
		b.Ended(now)
		b.Sources, b.Observed = sources, later(b.Observed, now)
		return nil
	})
	if err != nil {
		s.log.WarnContext(ctx, "the incidents cannot be stored", "err", err)
	}
	wake(s.news)
}

// sources says where numbers come from now. The caller holds the lock.
func (s *shift) sources() []Source {
	var list []Source
	for _, sub := range s.watched {
		of := sub.from()
		if s.blind != "" {
			of.Note = s.blind
		}
		list = append(list, of)
	}
	return list
}

func (s *shift) of(t plan.Target) *subject {
	at := slices.IndexFunc(s.watched, func(sub *subject) bool { return sub.Target == t })
	if at < 0 {
		return nil
	}
	return s.watched[at]
}

func (s *shift) isWatched(t plan.Target) bool { return s.of(t) != nil }

func (s *shift) channel(t plan.Target) string {
	if sub := s.of(t); sub != nil {
		return sub.Alerts.Channel
	}
	return ""
}

func (s *shift) escalate(t plan.Target) time.Duration {
	if sub := s.of(t); sub != nil && sub.Alerts.Escalate != nil {
		return sub.Alerts.Escalate.After.D()
	}
	return 0
}
