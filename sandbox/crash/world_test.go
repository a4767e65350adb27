package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"regexp"
	"slices"
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
	"slipway/rollout"
	"slipway/sandbox/crash"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
	"slipway/state"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
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
	w := &world{t: t}
	found, err := workspace.FindScenario(scenario)
	w.must(err)
	file, err := found.Load("../../deploy.yaml")
	w.must(err)
	hasten(file)
	if found.New.ErrorRate < 0.1 {
		found.New.ErrorRate = 0 // so that no check meets one of a good image's few errors
	} else {
		found.New.ErrorRate = 0.9
	}
	found.RPS = 10
	w.Workspace, err = workspace.New(t.Context(), workspace.Options{
		File: file, Scenario: found, Seed: 1, Speed: speed, Listen: "slack.sandbox:80", GCP: "gcp.sandbox:443",
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
// is simulated for each of its points.
func hasten(f *plan.File) {
	for _, p := range f.Plans {
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

// replica is one app that runs.
type replica struct {
	*crash.Line
	stop context.CancelFunc
	done chan error
	app  *app.App
}

// start runs one more app; its line breaks as planned.
func (w *world) start(name string, p crash.Plan) *replica {
	w.t.Helper()
	var dot bytes.Buffer // in place of a graph, of which drawing costs more than all the rest
	w.must(png.Encode(&dot, image.NewGray(image.Rect(0, 0, 1, 1))))
	c := w.App(name)
	c.Log = c.Log.With("replica", name)
	c.Draw = func(chart.Graph) ([]byte, error) { return dot.Bytes(), nil }
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

// account is all that a rollout has done, as text, without times, durations and counts.
func (w *world) account() string {
	w.t.Helper()
	var b strings.Builder
	mark := w.marks()
	section := func(name string, lines []string, inOrder bool) {
		for i, l := range lines {
			lines[i] = mark(l)
		}
		if !inOrder { // as steps of a parallel phase end in any
			slices.Sort(lines)
		}
		fmt.Fprintf(&b, "%s:\n  %s\n", name, strings.Join(lines, "\n  "))
	}
	section("updates", w.updates(), true)
	section("jobs", w.jobs(), false)
	section("cards", w.said(func(m fakeslack.Message) bool { return m.ThreadTS == "" }), true)
	section("thread", w.said(func(m fakeslack.Message) bool { return m.ThreadTS != "" }), false)
	section("events", w.events(), true)
	section("locks", w.locks(), true)
	return b.String()
}

// marks puts marks in place of what differs from one run to the next, the rollouts' IDs among it, which
// come from when they were asked for.
func (w *world) marks() func(string) string {
	history, err := w.store.History(w.t.Context(), "staging", 10)
	w.must(err)
	return func(text string) string {
		for _, r := range history {
			text = strings.ReplaceAll(text, r.ID, "ID")
		}
		return plain(text)
	}
}

// updates are the calls that changed a service, in order. The way back is a rescue, which is asked for
// again whenever it is in doubt: that sets the same value and changes nothing.
func (w *world) updates() []string {
	var list []string
	for _, c := range w.Cloud.Journal() {
		if c.Method != "UpdateService" || c.Outcome != "OK" || strings.Contains(string(c.Request), `"validateOnly":true`) {
			continue
		}
		back := strings.Contains(c.Summary, " traffic, 100% to netra-backend-staging-00041-abc")
		if n := len(list); !back || n == 0 || list[n-1] != c.Summary {
			list = append(list, c.Summary)
		}
	}
	return list
}

// jobs are the runs that were not cancelled.
func (w *world) jobs() []string {
	var list []string
	for _, j := range w.Cloud.State().Jobs {
		for _, e := range j.Executions {
			if strings.Contains(e.Message, "cancelled") {
				continue
			}
			list = append(list, fmt.Sprintf("%s %s %s", j.Name, strings.Join(e.Args, " "), e.Condition))
		}
	}
	return list
}

// said are the messages of the app in the channel that all can see.
func (w *world) said(which func(fakeslack.Message) bool) []string {
	var list []string
	for _, m := range w.Slack.Messages(channel) {
		if m.User == "U0SLIPWAY" && m.EphemeralTo == "" && !m.Deleted && which(m) {
			list = append(list, m.Text+" "+texts(m.Blocks))
		}
	}
	return list
}

// texts are the texts of blocks.
func texts(blocks json.RawMessage) string {
	var list []string
	for _, found := range regexp.MustCompile(`"(?:text|title|type)":"([^"]*)"`).FindAllSubmatch(blocks, -1) {
		list = append(list, string(found[1]))
	}
	return strings.Join(list, "|")
}

// events are the history of the one rollout, step by step, each step's in order.
func (w *world) events() []string {
	history, err := w.store.History(w.t.Context(), "staging", 10)
	w.must(err)
	var list []string
	for _, r := range history {
		events, err := w.store.Events(w.t.Context(), r.ID, 0)
		w.must(err)
		last := int64(0)
		for _, e := range events {
			if e.Seq <= last {
				w.t.Errorf("event %d follows event %d", e.Seq, last)
			}
			last = e.Seq
			list = append(list, event(e))
		}
		list = append(list, fmt.Sprintf("rollout %s %s", r.Status, r.End.Result))
	}
	slices.SortStableFunc(list, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return list
}

func event(e rollout.Event) string {
	text := fmt.Sprintf("step=%s %s attempt %d", e.Step, e.Kind, e.Attempt)
	if e.Outcome != nil {
		text += " " + string(e.Outcome.State)
	}
	if e.Verb != "" {
		text += " " + string(e.Verb) + " by " + e.By.Name
	}
	return text
}

func (w *world) locks() []string {
	locks, err := w.store.Locks(w.t.Context())
	w.must(err)
	var list []string
	for _, l := range locks {
		list = append(list, fmt.Sprintf("%+v", l.Target)+" "+l.Reason)
	}
	return list
}

// plain puts marks in place of times, durations and counts.
func plain(s string) string {
	for _, mark := range []struct{ pattern, with string }{
		{`@ [0-9a-f]{7}`, "@ DIGEST"},
		{`sha256:[0-9a-f]{12,64}`, "DIGEST"},
		{`(\d+(\.\d+)?,?)+ ?(ms|s|min|h)\b( \d+ ?(s|min)\b)?`, "TIME"},
		{`\d+(\.\d+)?(,\d+)*`, "N"},
	} {
		s = regexp.MustCompile(mark.pattern).ReplaceAllString(s, mark.with)
	}
	return s
}

// different shows the lines that only one of two texts has.
func different(want, got string) string {
	var b strings.Builder
	has := func(text, line string) (n int) {
		for l := range strings.Lines(text) {
			if strings.TrimSuffix(l, "\n") == line {
				n++
			}
		}
		return n
	}
	for l := range strings.Lines(want) {
		if l = strings.TrimSuffix(l, "\n"); has(got, l) < has(want, l) {
			b.WriteString("- " + l + "\n")
		}
	}
	for l := range strings.Lines(got) {
		if l = strings.TrimSuffix(l, "\n"); has(want, l) < has(got, l) {
			b.WriteString("+ " + l + "\n")
		}
	}
	return b.String()
}
