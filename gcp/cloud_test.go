package gcp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // clouds come and go, each with the log of a quarter of an hour
	goleak.VerifyTestMain(m)
}

const (
	project    = "netra-staging"
	region     = "us-central1"
	cloudRun   = "netra-backend-staging"
	stableName = cloudRun + "-00041-abc"
	repository = "us-docker.pkg.dev/netra-staging/apps/backend"
)

// world is a cloud with one service that serves with a 72% error rate, and the adapters on it.
type world struct {
	t       *testing.T
	fake    *fakegcp.Cloud
	cloud   *Cloud
	service rollout.Service // as Inspect saw it, and as the steps changed it
	next    fakegcp.Behavior
	others  int // deploys by someone else so far
}

// spec is the service as deploy.yaml has it.
func spec() plan.Service {
	return plan.Service{
		Name: "backend", CloudRun: cloudRun, Image: repository, Tag: "new",
		Project: project, Region: region,
	}
}

// inWorld runs a test in a bubble, where cloud latencies cost nothing.
func inWorld(t *testing.T, next fakegcp.Behavior, test func(ctx context.Context, w *world)) {
	t.Helper()
	inWorldWith(t, fakegcp.Config{}, next, test)
}

func inWorldWith(t *testing.T, cfg fakegcp.Config, next fakegcp.Behavior, test func(ctx context.Context, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg, next)
		service, err := w.cloud.Inspect(t.Context(), spec(), "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.service = service
		test(t.Context(), w)
	})
}

func newWorld(t *testing.T, cfg fakegcp.Config, next fakegcp.Behavior) *world {
	t.Helper()
	return newWorldOf(t, cfg, next, nil)
}

// newWorldOf makes a world whose service had earlier revisions.
func newWorldOf(t *testing.T, cfg fakegcp.Config, next fakegcp.Behavior, earlier []fakegcp.RevisionSpec) *world {
	t.Helper()
	network := memnet.New()
	cfg.Project, cfg.Region, cfg.Seed = project, region, 7
	cfg.Listen = func(host string) (net.Listener, string, error) {
		l, err := network.Listen(host + ":80")
		return l, "http://" + host, err
	}
	fake := fakegcp.New(cfg)
	old := fakegcp.Behavior{ErrorRate: 0.72, Exception: "ModuleNotFoundError: No module named 'auth_service'"}
	addImage(t, fake, "old", old)
	addImage(t, fake, "new", next)
	must(t, fake.AddService(fakegcp.ServiceSpec{Name: cloudRun, Image: repository + ":old", RPS: 20, Revisions: earlier}))
	must(t, fake.AddJob(fakegcp.JobSpec{Name: "backend-tests", Image: repository + ":old"}))
	ctx, cancel := context.WithCancel(t.Context())
	fake.Start(ctx)

	server := fake.Server()
	var serving sync.WaitGroup
	api := listen(t, network, "gcp.test:443")
	serving.Go(func() { _ = server.Serve(api) })
	registry := &http.Server{Handler: fake.RegistryHandler()}
	images := listen(t, network, "registry.test:80")
	serving.Go(func() { _ = registry.Serve(images) })

	cloud, err := Open(t.Context(), Config{Endpoint: "gcp.test:443", Registry: "registry.test:80", Dial: network.Dial})
	must(t, err)
	t.Cleanup(func() {
		must(t, cloud.Close())
		cancel()
		fake.Close()
		server.Stop()
		must(t, registry.Close())
		serving.Wait()
	})
	return &world{t: t, fake: fake, cloud: cloud, next: next}
}

func listen(t *testing.T, network *memnet.Network, addr string) net.Listener {
	t.Helper()
	l, err := network.Listen(addr)
	must(t, err)
	return l
}

func addImage(t *testing.T, fake *fakegcp.Cloud, tag string, b fakegcp.Behavior) {
	t.Helper()
	_, err := fake.AddImage(repository+":"+tag, b)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// task is an attempt of a step against the world as it is known.
func (w *world) task(step plan.Step, attempt int) rollout.Task {
	return rollout.Task{
		Key: rollout.Key{Rollout: "abc234", Step: "3.1", Attempt: attempt}, Step: step,
		Started: time.Now(), Services: map[string]rollout.Service{"backend": w.service},
	}
}

// begin does what the engine does until a handle is there: precondition, within a minute; start, and on
// a passing error find before start again.
func (w *world) begin(ctx context.Context, t rollout.Task) (string, error) {
	action := w.cloud.Actions()[t.Step.Kind]
	if fencer, ok := action.(rollout.Fencer); ok && t.Fence == "" {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		fence, err := patiently(func() (string, error) { return fencer.Precondition(limited, t) })
		if err != nil {
			return "", err
		}
		t.Fence = fence
	}
	first := true
	return patiently(func() (string, error) {
		if !first {
			if handle, found, err := action.Find(ctx, t); err != nil || found {
				return handle, err
			}
		}
		first = false
		return action.Start(ctx, t)
	})
}

// follow polls until the attempt is over, and takes its change into the world.
func (w *world) follow(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	action := w.cloud.Actions()[t.Step.Kind]
	for {
		outcome, err := patiently(func() (rollout.Outcome, error) { return action.Poll(ctx, t, handle) })
		if err != nil || outcome.State != rollout.StillRunning {
			w.learn(outcome.Change)
			return outcome, err
		}
		time.Sleep(outcome.Again)
	}
}

func (w *world) run(ctx context.Context, t rollout.Task) (rollout.Outcome, error) {
	handle, err := w.begin(ctx, t)
	if err != nil {
		return rollout.Outcome{}, err
	}
	return w.follow(ctx, t, handle)
}

// pass runs a step that has to pass.
func (w *world) pass(ctx context.Context, step plan.Step) rollout.Outcome {
	w.t.Helper()
	outcome, err := w.run(ctx, w.task(step, 1))
	if err != nil || outcome.State != rollout.Passed {
		w.t.Fatalf("%s: %+v, %v", step.Kind, outcome, err)
	}
	return outcome
}

func (w *world) learn(change *rollout.ServiceChange) {
	if change == nil {
		return
	}
	if change.Candidate != nil {
		w.service.Candidate = *change.Candidate
	}
	if change.Percent != nil {
		w.service.Percent = *change.Percent
	}
	if change.ShiftedAt != nil {
		w.service.ShiftedAt = *change.ShiftedAt
	}
}

// patiently repeats what fails in passing, as the engine does, for some minutes.
func patiently[T any](do func() (T, error)) (T, error) {
	deadline := time.Now().Add(4 * time.Minute)
	for {
		result, err := do()
		if err == nil || asFailure(err) != nil || time.Now().After(deadline) {
			return result, err
		}
		time.Sleep(2 * time.Second)
	}
}

// query asks for the requests of the stable revision.
func (w *world) query(since time.Time) rollout.Query {
	return rollout.Query{Service: w.service, Revision: stableName, Since: since}
}

// calls counts the calls of a method that the fake received.
func (w *world) calls(method string) int {
	n := 0
	for _, call := range w.fake.Journal() {
		if strings.HasSuffix(call.Method, method) {
			n++
		}
	}
	return n
}

func deployStep() plan.Step {
	return plan.Step{Kind: plan.KindDeploy, Deploy: &plan.ServiceStep{Service: "backend"}}
}

func trafficStep(percent int, to plan.TrafficTo) plan.Step {
	return plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: percent, To: to}}
}

// wantFailure checks that err is final and carries a label and words.
func wantFailure(t *testing.T, err error, label string, words ...string) {
	t.Helper()
	failure := asFailure(err)
	if failure == nil {
		t.Fatalf("got %v, want a failure labelled %s", err, label)
	}
	if failure.Label != label {
		t.Errorf("label %q, want %q (%s)", failure.Label, label, failure.Reason)
	}
	for _, word := range words {
		if !strings.Contains(failure.Reason, word) {
			t.Errorf("reason %q does not say %q", failure.Reason, word)
		}
	}
}

func TestOpenRefusesNothingItCannotKnow(t *testing.T) {
	cloud, err := Open(t.Context(), Config{Endpoint: "127.0.0.1:1"})
	must(t, err)
	defer func() { must(t, cloud.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = cloud.Requests(ctx, rollout.Query{Service: rollout.Service{Project: project}, Revision: "r", Since: time.Now()})
	if err == nil || asFailure(err) != nil {
		t.Errorf("a cloud that does not answer: %v, want a passing error", err)
	}
	if !errors.Is(cloud.Close(), nil) {
		t.Error("closing twice fails")
	}
}
