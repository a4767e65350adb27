package crash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"slipway/app"
	"slipway/chart"
	"slipway/plan"
	"slipway/sandbox/crash"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
	"slipway/state"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	debug.SetGCPercent(800) // worlds come and go, and little of them lives long
	goleak.VerifyTestMain(m)
}

// silence is for the client's own log: that calls fail is what these tests are about.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

const channel = "deploys-staging"

// world is a workspace in memory, and the replicas that work in it over lines that can break.
type world struct {
	*workspace.Workspace
	*play.Player
	t        *testing.T
	network  *crash.Network
	redis    redis.UniversalClient
	store    *state.Store
	log, out journal
	blind    bool // nobody finds runs of jobs
}

// journal is text that several goroutines write.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// newWorld is called inside a bubble. What the cloud takes its time for is as many times faster as speed says.
func newWorld(t *testing.T, scenario string, speed float64) *world {
	t.Helper()
	found := scenarioOf(t, scenario)
	if found.New.ErrorRate < 0.1 {
		found.New.ErrorRate = 0 // so that no check meets one of a good image's few errors
	} else {
		found.New.ErrorRate = 0.9
	}
	found.RPS = 0.5 // until now: what came before the rollout is read by each
	w := open(t, found, speed)
	rps := 10.0
	w.must(w.Cloud.Traffic(fakegcp.TrafficRequest{Service: "netra-backend-staging", RPS: &rps}))
	return w
}

func scenarioOf(t *testing.T, name string) workspace.Scenario {
	t.Helper()
	found, err := workspace.FindScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// open makes the world of a scenario.
func open(t *testing.T, scenario workspace.Scenario, speed float64) *world {
	t.Helper()
	w := &world{t: t}
	file, err := scenario.Load("../../deploy.yaml")
	w.must(err)
	hasten(file)
	w.Workspace, err = workspace.New(t.Context(), workspace.Options{
		File: file, Scenario: scenario, Seed: 1, Speed: speed, Listen: "slack.sandbox:80", GCP: "gcp.sandbox:443",
		Memory: memnet.New(), Log: w.logger(),
		Intercept: func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if _, list := request.(*runpb.ListExecutionsRequest); list && w.blind {
				return &runpb.ListExecutionsResponse{}, nil
			}
			return w.network.Intercept(ctx, request, info, handler)
		},
	})
	w.must(err)
	t.Cleanup(w.Close)
	w.Player = play.New(w.Workspace, channel, &w.out)
	c, _ := crash.NewNetwork(nil).Connect(w.App("watcher"), crash.Plan{})
	w.redis, err = state.Open(t.Context(), c.RedisURL, c.Dial)
	w.must(err)
	t.Cleanup(func() { w.must(w.redis.Close()) })
	w.store = state.New(w.redis, state.Options{})
	scripts, err := w.store.LoadScripts(t.Context()) // as all but the first replica find them
	w.must(err)
	w.network = crash.NewNetwork(scripts)
	return w
}

// hasten keeps the steps of a plan and makes its gates quick to decide, because every second of a rollout
// is simulated for each of its points. Its verdicts are final: half an hour more would be simulated for each as well.
func hasten(f *plan.File) {
	for _, p := range f.Plans {
		p.Watch = 0
		for _, phase := range p.Phases {
			for _, s := range phase.Steps {
				if e := s.ErrorRate; e != nil {
					e.Below, e.WarmUp, e.MinTime, e.MaxLatency = 0.5, plan.Duration(time.Second), plan.Duration(2*time.Second), plan.Duration(time.Second)
				}
				if n := s.NoLogs; n != nil {
					n.MinRate, n.MaxLatency = 0.5, plan.Duration(time.Second)
				}
			}
		}
	}
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// must ends the test with what happened, if something went wrong that may not.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v\n%s\n%s", err, w.out.String(), w.log.String())
	}
}

// story is what happened, for people.
func (w *world) story() string { return w.out.String() + "\n" + w.log.String() }

// replica is one app that runs.
type replica struct {
	*crash.Line
	stop context.CancelFunc
	done chan error
	app  *app.App
}

// dot is a PNG of one pixel, in place of a graph, of which drawing costs more than all the rest.
const dot = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU" +
	"\x00\x00\x00\x0aIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"

// start runs one more app; its line breaks as planned.
func (w *world) start(name string, p crash.Plan) *replica {
	w.t.Helper()
	c := w.App(name)
	c.Log = c.Log.With("replica", name)
	c.Draw = func(chart.Graph) ([]byte, error) { return []byte(dot), nil }
	c, line := w.network.Connect(c, p)
	a, err := app.New(w.t.Context(), c)
	if err != nil {
		select {
		case <-line.Broken():
			return &replica{Line: line, stop: func() {}}
		default:
			w.must(err)
		}
	}
	ctx, stop := context.WithCancel(w.t.Context())
	r := &replica{Line: line, stop: stop, done: make(chan error, 1), app: a}
	go func() { r.done <- a.Run(ctx) }()
	w.t.Cleanup(func() { w.end(r) })
	return r
}

// end stops a replica and waits for all of it.
func (w *world) end(r *replica) {
	if r.done == nil {
		return
	}
	r.stop()
	if err := <-r.done; err != nil {
		w.t.Error(err)
	}
	if err := r.app.Close(); err != nil {
		w.t.Error(err)
	}
	r.Wait()
	r.done = nil
}

// within bounds what a test waits for.
func (w *world) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	w.t.Cleanup(cancel)
	return ctx
}

// longest is how long a rollout may take with a crash on its way.
const longest = 10 * time.Minute

// rollOut is what people do: ask for a rollout, and approve it.
func (w *world) rollOut(how string) {
	w.t.Helper()
	ctx := w.within(longest)
	w.must(w.WaitConnected(ctx))
	w.act(func() error { return w.Command(ctx, workspace.Deployer, "/deploy staging") })
	w.must(w.Until(ctx, "the call for approval", called))
	w.act(func() error { return w.Click(ctx, workspace.Approver, "approve") })
	w.must(w.Ends(ctx, how))
	w.settle()
}

// act does what a person does, again if Slack says that no app is connected. A lost ack is no failure:
// what was typed has arrived.
func (w *world) act(do func() error) {
	w.t.Helper()
	err := do()
	for errors.Is(err, fakeslack.ErrNoConnection) {
		time.Sleep(time.Second)
		err = do()
	}
	if !errors.Is(err, fakeslack.ErrNotAcked) {
		w.must(err)
	}
}

// settle waits until nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	until := time.Now().Add(longest)
	for {
		left := w.left()
		if left == "" {
			return
		}
		if time.Now().After(until) {
			w.t.Fatalf("left in Redis:\n%s\n%s\n%s", left, w.out.String(), w.log.String())
		}
		time.Sleep(time.Second)
	}
}

// left is what of the work is still in Redis.
func (w *world) left() string {
	var left []string
	for _, name := range []string{"active", "due", "leases", "outbox", "inbox:waiting", "inbox:taken"} {
		n, err := w.redis.ZCard(w.t.Context(), "{slipway}:"+name).Result()
		w.must(err)
		if n > 0 {
			left = append(left, fmt.Sprintf("%s: %d", name, n))
		}
	}
	for _, name := range []string{"inbox:bodies", "inbox:owners"} {
		n, err := w.redis.HLen(w.t.Context(), "{slipway}:"+name).Result()
		w.must(err)
		if n > 0 {
			left = append(left, fmt.Sprintf("%s: %d", name, n))
		}
	}
	return strings.Join(left, "\n")
}
