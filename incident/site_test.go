package incident_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/memnet"
	"slipway/state"
)

// site is a project whose services have traffic and are watched by replicas with the real store, in a bubble. All
// else is made here, so that it can be out of order exactly as a test wants it.
type site struct {
	t        *testing.T
	began    time.Time
	services []incident.Service
	redis    *miniredis.Miniredis
	wires    sync.WaitGroup // to Redis
	store    *state.Store
	log      *traffic
	channel  *channel
	pager    *pager
	judging  *judging
	cloud    *cloud
}

func onSite(t *testing.T, services []string, alerts plan.Alerts, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, began: time.Now(), redis: miniredis.NewMiniRedis(), channel: &channel{}, pager: &pager{}, judging: &judging{}, cloud: &cloud{}}
		s.redis.ClockTTL(true)
		redis, err := state.Open(t.Context(), "redis://redis.test:6379", s.dialRedis)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := redis.Close(); err != nil {
				t.Error(err)
			}
			s.redis.Close()
			s.wires.Wait()
		})
		s.store = state.New(redis, state.Options{})
		s.log = &traffic{began: s.began, perSecond: 5}
		alerts.Channel, alerts.Source = "deploys", max(alerts.Source, plan.SourceAuto)
		for _, name := range services {
			s.services = append(s.services, incident.Service{
				Target: plan.Target{Environment: "staging", Service: name}, Project: "p", Region: "r", CloudRun: name, Alerts: alerts,
			})
		}
		test(t, s)
	})
}

// dialRedis opens a connection with room for what nobody reads any more, as a socket has: the embedded Redis hangs
// when it answers somebody who has given up over a pipe that has none.
func (s *site) dialRedis(context.Context, string, string) (net.Conn, error) {
	far, err := s.redis.Dial()
	if err != nil {
		return nil, err
	}
	return memnet.Buffered(far, 1<<20, &s.wires), nil
}

// errorsOnly watches for errors above 20%: the higher the limit, the sooner it is proven that a fault is over.
func errorsOnly() plan.Alerts { return plan.Alerts{ErrorRate: 0.2} }

// fails has all services fail at a rate from one time after the beginning to another.
func (s *site) fails(rate float64, from, to time.Duration) {
	began := s.began
	s.log.failing = func(_ string, at time.Time) float64 {
		if since := at.Sub(began); since >= from && since < to {
			return rate
		}
		return 0
	}
}

// replica is one of those that share the watch.
type replica struct {
	monitor *incident.Monitor
	wire    *wire
	stop    func() // as on SIGTERM
}

func (s *site) replica(name string) *replica {
	s.t.Helper()
	w := &wire{site: s, cut: make(chan struct{})}
	m, err := incident.NewMonitor(incident.Config{
		Services: s.services, Logs: w, Metrics: w, Cloud: s.cloud, Rollouts: s.judging, Store: w, Teller: w, Notifier: w, Owner: name,
		Log: slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("replica", name),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	r := &replica{monitor: m, wire: w, stop: sync.OnceFunc(func() { cancel(); <-done })}
	s.t.Cleanup(r.stop)
	return r
}

// kill cuts a replica off from everything in the middle of whatever it does.
func (r *replica) kill() {
	close(r.wire.cut)
	r.stop()
}

// until lets time pass until a time after the beginning.
func (s *site) until(after time.Duration) {
	time.Sleep(time.Until(s.began.Add(after)))
	synctest.Wait()
}

func (s *site) book() incident.Book {
	s.t.Helper()
	b, _, err := s.store.Incidents().Book(s.t.Context(), "p")
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// wire is a replica's way to all else. It can be cut.
type wire struct {
	*site
	cut chan struct{}
}

var errCut = errors.New("the wire is cut")

// on is a context that ends when the wire is cut, and the error if it is.
func (w *wire) on(ctx context.Context) (context.Context, context.CancelFunc, error) {
	select {
	case <-w.cut:
		return ctx, func() {}, errCut
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-w.cut:
			cancel()
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel() }, nil
}

func over[T any](ctx context.Context, w *wire, do func(context.Context) (T, error)) (T, error) {
	ctx, done, err := w.on(ctx)
	defer done()
	if err != nil {
		var none T
		return none, err
	}
	return do(ctx)
}

func (w *wire) Hold(ctx context.Context, project, owner string, ttl time.Duration) (bool, error) {
	return over(ctx, w, func(ctx context.Context) (bool, error) { return w.store.Incidents().Hold(ctx, project, owner, ttl) })
}

func (w *wire) Yield(ctx context.Context, project, owner string) error {
	_, err := over(ctx, w, func(ctx context.Context) (bool, error) { return true, w.store.Incidents().Yield(ctx, project, owner) })
	return err
}

func (w *wire) Book(ctx context.Context, project string) (b incident.Book, version int64, err error) {
	b, err = over(ctx, w, func(ctx context.Context) (b incident.Book, err error) {
		b, version, err = w.store.Incidents().Book(ctx, project)
		return b, err
	})
	return b, version, err
}

func (w *wire) SaveBook(ctx context.Context, project, owner string, b incident.Book, version int64) (int64, error) {
	return over(ctx, w, func(ctx context.Context) (int64, error) {
		return w.store.Incidents().SaveBook(ctx, project, owner, b, version)
	})
}

func (w *wire) Watches(ctx context.Context, project string) ([]byte, error) {
	return over(ctx, w, func(ctx context.Context) ([]byte, error) { return w.store.Incidents().Watches(ctx, project) })
}

func (w *wire) SaveWatches(ctx context.Context, project, owner string, watches []byte) error {
	_, err := over(ctx, w, func(ctx context.Context) (bool, error) {
		return true, w.store.Incidents().SaveWatches(ctx, project, owner, watches)
	})
	return err
}

func (w *wire) Entries(ctx context.Context, _ string, services []incident.Service, from, to time.Time, each func(*incident.Entry)) error {
	_, err := over(ctx, w, func(context.Context) (bool, error) {
		if err := w.log.forbidden(); err != nil {
			return false, err
		}
		for _, e := range w.log.received(services, from, to) {
			each(&e)
		}
		return true, nil
	})
	return err
}

func (w *wire) Tail(ctx context.Context, _ string, services []incident.Service, each func(*incident.Entry), suppressed func(int64, string)) error {
	_, err := over(ctx, w, func(ctx context.Context) (bool, error) { return true, w.log.tail(ctx, services, each, suppressed) })
	return err
}

func (w *wire) Minutes(_ context.Context, s incident.Service, from time.Time) ([]incident.Minute, time.Time, error) {
	return w.log.minutes(s, from)
}

func (w *wire) Tell(ctx context.Context, c incident.Case, m incident.Message, keep func(incident.Message) error) (time.Duration, error) {
	return over(ctx, w, func(context.Context) (time.Duration, error) { return w.channel.tell(c, m, keep) })
}

func (w *wire) Notify(ctx context.Context, to plan.Notify, n incident.Notice) error {
	_, err := over(ctx, w, func(context.Context) (bool, error) { return true, w.pager.notify(to, n) })
	return err
}

// pager is told of incidents.
type pager struct {
	mu   sync.Mutex
	told []incident.Notice
	down int // so many tries fail
}

func (p *pager) notify(_ plan.Notify, n incident.Notice) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down > 0 {
		p.down--
		return errors.New("the pager is down")
	}
	p.told = append(p.told, n)
	return nil
}

func (p *pager) statuses() []incident.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []incident.Status
	for _, n := range p.told {
		list = append(list, n.Status)
	}
	return list
}

// judging is what rollouts judge.
type judging struct {
	mu sync.Mutex
	of []incident.Verification
}

func (j *judging) set(of ...incident.Verification) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.of = of
}

func (j *judging) Verifying(context.Context) ([]incident.Verification, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.of, nil
}

func (j *judging) Origin(context.Context, plan.Target, string) (incident.Origin, bool, error) {
	return incident.Origin{}, false, nil
}

// cloud says how all services stand.
type cloud struct {
	mu sync.Mutex
	of incident.Standing
}

func (c *cloud) set(of incident.Standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of = of
}

func (c *cloud) Standing(context.Context, incident.Service) (incident.Standing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of, nil
}
