package incident

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// holdTTL is how long the watch over a project stays with a replica that is gone; holdEvery is how often it is
	// prolonged, and tried for. So another one has it within holdTTL + holdEvery.
	holdTTL   = 3 * time.Second
	holdEvery = time.Second
	// aloneAfter is how long the store has to be away until a replica that had not the watch watches too: an
	// alert that is told twice is better than none.
	aloneAfter = 10 * time.Second
	// copyEvery is how often such a replica reads what was told, so as to go on from there.
	copyEvery = 5 * time.Second
	storeTime = 2 * time.Second
)

// Config is what a Monitor works with. All of it is required; Notifier is not asked where nobody is to be told.
type Config struct {
	Services []Service
	Logs     LogSource
	Metrics  Metrics
	Cloud    Cloud
	Rollouts Rollouts
	Store    Store
	Teller   Teller
	Notifier Notifier
	Owner    string // names this replica; unique among those that may run at once
	Log      *slog.Logger
}

// Monitor watches services while nobody deploys, and tells of what it finds. Of the replicas one watches each
// project; the book of incidents is shared, so that people can speak to any of them.
type Monitor struct {
	Config
	projects []*project
}

// project is one of Google Cloud's, in which services are watched.
type project struct {
	name     string
	services []Service

	mu     sync.Mutex
	shift  *shift // while this replica has the watch
	copied saved  // as the store had the book last
	at     time.Time
}

// saved is a book as it is stored.
type saved struct {
	book    Book
	version int64
}

// NewMonitor makes a Monitor of the services. Its error says which of them cannot be watched as deploy.yaml asks.
func NewMonitor(c Config) (*Monitor, error) {
	m := &Monitor{Config: c}
	for _, s := range c.Services {
		if _, err := NewWatch(s.Target, rulesFor(s, len(c.Services))); err != nil {
			return nil, fmt.Errorf("alerts of %s: %w", s.Target, err)
		}
		at := slices.IndexFunc(m.projects, func(p *project) bool { return p.name == s.Project })
		if at < 0 {
			at = len(m.projects)
			m.projects = append(m.projects, &project{name: s.Project})
		}
		m.projects[at].services = append(m.projects[at].services, s)
	}
	return m, nil
}

func rulesFor(s Service, services int) Rules {
	rules := RulesOf(s.Alerts)
	rules.Services = services
	return rules
}

// Run watches until ctx ends. What is in hand then is finished or handed over before it returns.
func (m *Monitor) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, p := range m.projects {
		running.Go(func() { m.attend(ctx, p) })
	}
	running.Wait()
}

// attend takes the watch over a project whenever it is free, or when nobody can tell whether it is.
func (m *Monitor) attend(ctx context.Context, p *project) {
	log := m.Log.With("project", p.name)
	var away time.Time
	for ctx.Err() == nil {
		held, err := m.hold(ctx, p)
		switch {
		case held:
			away = time.Time{}
			m.watch(ctx, p, false)
		case err == nil:
			away = time.Time{}
			m.copy(ctx, p)
		case away.IsZero():
			away = time.Now()
			log.WarnContext(ctx, "who watches for incidents is not known", "err", err)
		case time.Since(away) >= aloneAfter:
			log.ErrorContext(ctx, "watching for incidents from memory; another replica may do so as well", "err", err)
			m.watch(ctx, p, true)
			away = time.Time{}
		}
		sleep(ctx, holdEvery)
	}
}

func (m *Monitor) hold(ctx context.Context, p *project) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return m.Store.Hold(ctx, p.name, m.Owner, holdTTL)
}

// copy keeps what others have told, for the time when the store is away.
func (m *Monitor) copy(ctx context.Context, p *project) {
	p.mu.Lock()
	fresh := time.Since(p.at) < copyEvery
	p.mu.Unlock()
	if fresh {
		return
	}
	if read, err := m.load(ctx, p); err == nil {
		p.keep(read)
	}
}

func (p *project) keep(s saved) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.copied, p.at = s, time.Now()
}

func (m *Monitor) load(ctx context.Context, p *project) (saved, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	b, version, err := m.Store.Book(ctx, p.name)
	return saved{b, version}, err
}

// watch has the watch until it is lost, or ctx ends.
func (m *Monitor) watch(ctx context.Context, p *project, alone bool) {
	s, err := m.begin(ctx, p, alone)
	if err != nil {
		m.Log.ErrorContext(ctx, "cannot begin to watch for incidents; another replica may", "project", p.name, "err", err)
		m.yield(ctx, p)
		sleep(ctx, aloneAfter)
		return
	}
	p.set(s)
	s.run(ctx)
	p.set(nil)
	p.keep(s.desk.saved())
}

// yield gives the watch to whoever wants it.
func (m *Monitor) yield(ctx context.Context, p *project) {
	if err := m.Store.Yield(ctx, p.name, m.Owner); err != nil {
		m.Log.WarnContext(ctx, "the watch is not handed over; another replica takes it when its time is over", "project", p.name, "err", err)
	}
}

func (p *project) set(s *shift) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shift = s
}

func (p *project) onDuty() *shift {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shift
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// wake leaves a note for a loop that is busy or asleep; one is enough.
func wake(hint chan struct{}) {
	select {
	case hint <- struct{}{}:
	default:
	}
}
