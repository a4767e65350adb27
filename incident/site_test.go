package incident_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"slipway/incident"
	"slipway/plan"
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
	client, near := net.Pipe()
	answers := make(chan []byte, 1024)
	s.wires.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	})
	s.wires.Go(func() {
		defer close(answers)
		for {
			chunk := make([]byte, 4<<10)
			n, err := far.Read(chunk)
			if err != nil {
				return
			}
			answers <- chunk[:n]
		}
	})
	s.wires.Go(func() {
		for chunk := range answers {
			_, _ = near.Write(chunk) // fails once the client has gone
		}
		_ = near.Close()
	})
	return client, nil
}

// errorsOnly watches for errors above 5%.
func errorsOnly() plan.Alerts { return plan.Alerts{ErrorRate: 0.05} }

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
		if w.log.unlisted != nil {
			return false, w.log.unlisted
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

// traffic is requests that come evenly, and how their log is.
type traffic struct {
	began     time.Time
	perSecond int
	failing   func(service string, at time.Time) float64
	delay     func(random *rand.Rand) time.Duration // from a request to its entry; nil: none
	sampled   float64                               // share of the requests that the log lacks
	wrong     func(e *incident.Entry)               // makes of an entry what the log has in its place; nil: nothing

	mu       sync.Mutex
	opened   []time.Time   // sessions
	drops    time.Duration // how long a session lasts; 0: as long as it may
	rate     int           // entries a second that a session brings at most; 0: all
	unlisted error         // of each listing
}

// of are the entries of a service's requests that were made in a second, as the log has them.
func (l *traffic) of(service string, second time.Time) []incident.Entry {
	random := rand.New(rand.NewPCG(uint64(second.Unix()), uint64(len(service))))
	failing := 0.0
	if l.failing != nil {
		failing = l.failing(service, second)
	}
	var list []incident.Entry
	for n := range l.perSecond {
		at := second.Add(time.Duration(n) * time.Second / time.Duration(l.perSecond))
		e := incident.Entry{
			ID: fmt.Sprintf("%s-%d-%d", service, second.Unix(), n), At: at, Received: at, Log: "run.googleapis.com/requests",
			Service: service, Revision: service + "-00042", Location: "r", Request: &incident.Request{Status: 200, Latency: 50 * time.Millisecond},
		}
		failed := (float64(second.Unix()%100)*float64(l.perSecond) + float64(n)) * failing
		if int(failed+failing) > int(failed) {
			e.Request.Status = 500
		}
		if l.delay != nil {
			e.Received = at.Add(l.delay(random))
		}
		if random.Float64() < l.sampled {
			continue
		}
		if l.wrong != nil {
			l.wrong(&e)
		}
		list = append(list, e)
	}
	return list
}

const mostDelay = 2 * time.Minute

// received are the entries that were received in [from, to), in that order.
func (l *traffic) received(services []incident.Service, from, to time.Time) []incident.Entry {
	var list []incident.Entry
	oldest := time.Second
	if l.delay != nil {
		oldest = mostDelay
	}
	for second := from.Add(-oldest).Truncate(time.Second); second.Before(to); second = second.Add(time.Second) {
		for _, s := range services {
			if s.Alerts.Source == plan.SourceMetrics {
				continue
			}
			for _, e := range l.of(s.CloudRun, second) {
				if !e.Received.Before(from) && e.Received.Before(to) {
					list = append(list, e)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b incident.Entry) int { return a.Received.Compare(b.Received) })
	return list
}

var errDropped = errors.New("the session was dropped")

func (l *traffic) tail(ctx context.Context, services []incident.Service, each func(*incident.Entry), suppressed func(int64, string)) error {
	opened := time.Now()
	l.mu.Lock()
	l.opened = append(l.opened, opened)
	drops, rate := l.drops, l.rate
	l.mu.Unlock()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for from := opened; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := time.Now()
		if drops > 0 && now.Sub(opened) >= drops {
			return errDropped
		}
		entries := l.received(services, from, now)
		if rate > 0 && len(entries) > rate {
			suppressed(int64(len(entries)-rate), "rate limit")
			entries = entries[:rate]
		}
		for i := range entries {
			each(&entries[i])
		}
		from = now
	}
}

// minutes are the requests as Cloud Monitoring has them: all of them, three minutes later.
func (l *traffic) minutes(s incident.Service, from time.Time) ([]incident.Minute, time.Time, error) {
	whole := &traffic{began: l.began, perSecond: l.perSecond, failing: l.failing}
	until := time.Now().Add(-3 * time.Minute).Truncate(time.Minute).UTC()
	var list []incident.Minute
	for at := from.Add(time.Minute - 1).Truncate(time.Minute).UTC(); at.Before(until); at = at.Add(time.Minute) {
		m := incident.Minute{At: at, Revision: s.CloudRun + "-00042"}
		for n := range 60 {
			for _, e := range whole.of(s.CloudRun, at.Add(time.Duration(n)*time.Second)) {
				m.Requests++
				if e.Request.Failed() {
					m.Errors++
				}
			}
		}
		list = append(list, m)
	}
	return list, until, nil
}

// channel is where people are told.
type channel struct {
	mu    sync.Mutex
	posts []post
	serve []string // the revisions with the traffic, as the newest message has them
	down  bool
	lost  func(p post) bool // the answer to a post is lost; nil: to none
}

type post struct {
	thread string // whose message it is, or in whose thread
	key    string // of a reply; "": it is the message
	at     time.Time
	says   []incident.Saying
	head   string // the headlines
	alone  bool
}

var errNoSlack = errors.New("slack is down")

// tell keeps to what Teller asks for, without Slack.
func (ch *channel) tell(c incident.Case, m incident.Message, keep func(incident.Message) error) (time.Duration, error) {
	if ch.isDown() {
		return 0, errNoSlack
	}
	ch.note(c)
	var heads []string
	for _, i := range c.Incidents {
		heads = append(heads, i.Headline(c.Now))
	}
	p := post{thread: c.Thread.ID, at: time.Now(), head: strings.Join(heads, "\n"), alone: c.Alone}
	first := false
	if m.TS == "" {
		if found := m.Posting && ch.find(c.Thread.ID, ""); !found {
			first = true
			m.Posting = true
			if err := keep(m); err != nil {
				return 0, err
			}
			if err := ch.add(p); err != nil {
				return 0, err
			}
		}
		m.TS, m.Posting = "1", false
		if err := keep(m); err != nil {
			return 0, err
		}
	}
	for _, n := range c.News {
		p.key, p.says = n.Key, []incident.Saying{n.Saying}
		if n.Saying == incident.SayFiring && (first || n.Incident == c.Thread.ID) || m.Reply == n.Key && ch.find(c.Thread.ID, n.Key) {
			continue
		}
		m.Reply = n.Key
		if err := keep(m); err != nil {
			return 0, err
		}
		if err := ch.add(p); err != nil {
			return 0, err
		}
		m.Reply, m.Told = "", n.Key
		if err := keep(m); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (ch *channel) note(c incident.Case) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.serve = nil
	for _, about := range c.About {
		ch.serve = append(ch.serve, about.Standing.Serving)
	}
}

func (ch *channel) serving() []string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.serve
}

func (ch *channel) isDown() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.down
}

func (ch *channel) setDown(down bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.down = down
}

func (ch *channel) add(p post) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.posts = append(ch.posts, p)
	if ch.lost != nil && ch.lost(p) {
		return errors.New("the answer was lost")
	}
	return nil
}

func (ch *channel) find(thread, key string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return slices.ContainsFunc(ch.posts, func(p post) bool { return p.thread == thread && p.key == key })
}

func (ch *channel) messages() []post { return ch.filter(func(p post) bool { return p.key == "" }) }

func (ch *channel) said() []incident.Saying {
	var list []incident.Saying
	for _, p := range ch.filter(func(p post) bool { return p.key != "" }) {
		list = append(list, p.says...)
	}
	return list
}

func (ch *channel) filter(keep func(post) bool) []post {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ch.posts), func(p post) bool { return !keep(p) })
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
