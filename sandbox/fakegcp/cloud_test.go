package fakegcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	logging "cloud.google.com/go/logging/apiv2"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"
	"go.uber.org/goleak"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // clouds come and go, each with the log of a quarter of an hour
	goleak.VerifyTestMain(m)
}

const (
	project   = "netra-staging"
	place     = "projects/netra-staging/locations/us-central1"
	backend   = "backend"
	fullName  = place + "/services/" + backend
	stable    = "backend-00041-abc"
	images    = "us-docker.pkg.dev/netra-staging/apps/backend"
	exception = "ModuleNotFoundError: No module named 'auth_service'"
)

// world is a cloud with one service at 72% errors, and Google's clients connected to it.
type world struct {
	t          *testing.T
	cloud      *fakegcp.Cloud
	network    *memnet.Network
	services   *run.ServicesClient
	revisions  *run.RevisionsClient
	jobs       *run.JobsClient
	executions *run.ExecutionsClient
	logs       *logging.Client
	metrics    *monitoring.MetricClient
	http       *http.Client
	good       string // image by digest
}

// inBubble runs a test in fake time against a fresh world.
func inBubble(t *testing.T, change func(*fakegcp.Config), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		cfg := fakegcp.Config{
			Project: project, Region: "us-central1", Seed: 7, E2EToken: "e2e-token",
			Listen: func(host string) (net.Listener, string, error) {
				l, err := network.Listen(host + ":80")
				return l, "http://" + host, err
			},
		}
		if change != nil {
			change(&cfg)
		}
		w := &world{t: t, network: network, cloud: fakegcp.New(cfg)}
		stop := w.serve()
		defer stop()
		w.populate()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.cloud.Start(ctx)
		test(t, w)
	})
}

func (w *world) populate() {
	w.image("bad", fakegcp.Behavior{ErrorRate: 0.72, Exception: exception})
	w.good = w.image("good", fakegcp.Behavior{ErrorRate: 0.01, Jobs: map[string]fakegcp.JobBehavior{
		"pytest":               {Duration: 20 * time.Second, Output: []string{"12 passed"}},
		"pytest tests/failing": {ExitCode: 1, Output: []string{"1 failed"}},
		"forever":              {NeverEnds: true},
	}})
	w.must(w.cloud.AddService(fakegcp.ServiceSpec{Name: backend, Image: images + ":bad", RPS: 40, ServiceAccount: "run@netra-staging.iam.gserviceaccount.com"}))
	w.must(w.cloud.AddJob(fakegcp.JobSpec{Name: "tests", Image: images + ":good", Args: []string{"pytest"}}))
}

func (w *world) image(tag string, b fakegcp.Behavior) string {
	w.t.Helper()
	digest, err := w.cloud.AddImage(images+":"+tag, b)
	w.must(err)
	return images + "@" + digest
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantCode(err error, want codes.Code) {
	w.t.Helper()
	if status.Code(err) != want {
		w.t.Fatalf("error %v, want %v", err, want)
	}
}

func (w *world) serve() (stop func()) {
	l, err := w.network.Listen("gcp.test:443")
	w.must(err)
	srv := w.cloud.Server()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	opts := w.options()
	var errs [6]error
	w.services, errs[0] = run.NewServicesClient(w.t.Context(), opts...)
	w.revisions, errs[1] = run.NewRevisionsClient(w.t.Context(), opts...)
	w.jobs, errs[2] = run.NewJobsClient(w.t.Context(), opts...)
	w.executions, errs[3] = run.NewExecutionsClient(w.t.Context(), opts...)
	w.logs, errs[4] = logging.NewClient(w.t.Context(), opts...)
	w.metrics, errs[5] = monitoring.NewMetricClient(w.t.Context(), opts...)
	w.must(errors.Join(errs[:]...))
	transport := &http.Transport{DialContext: w.network.Dial}
	w.http = &http.Client{Transport: transport}
	return func() {
		for _, client := range []io.Closer{w.services, w.revisions, w.jobs, w.executions, w.logs, w.metrics} {
			client.Close()
		}
		transport.CloseIdleConnections()
		w.cloud.Close()
		srv.Stop()
		<-served
	}
}

func (w *world) dial(ctx context.Context, addr string) (net.Conn, error) {
	return w.network.Dial(ctx, "tcp", addr)
}

func (w *world) service() *runpb.Service {
	w.t.Helper()
	svc, err := w.services.GetService(w.t.Context(), &runpb.GetServiceRequest{Name: fullName})
	w.must(err)
	return svc
}

// update sends the masked fields of svc.
func (w *world) update(svc *runpb.Service, paths ...string) (*run.UpdateServiceOperation, error) {
	svc.Name = fullName
	return w.services.UpdateService(w.t.Context(), &runpb.UpdateServiceRequest{Service: svc, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

type operation interface {
	Done() bool
	Name() string
}

// finish polls every half second, as a careful client does, and says how long it took.
func finish[R any, O interface {
	operation
	Poll(context.Context, ...gax.CallOption) (R, error)
}](w *world, op O) (R, time.Duration, error) {
	w.t.Helper()
	start := time.Now()
	for {
		res, err := op.Poll(w.t.Context())
		if err != nil || op.Done() {
			return res, time.Since(start), err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// candidate is an update that makes a named revision with a tag and no traffic.
func candidate(image, name string) *runpb.Service {
	return &runpb.Service{
		Template: &runpb.RevisionTemplate{Revision: name, Containers: []*runpb.Container{{Image: image}}},
		Traffic:  []*runpb.TrafficTarget{{Type: byRevision, Revision: stable, Percent: 100}, {Type: byRevision, Revision: name, Tag: "candidate"}},
	}
}

const (
	byRevision = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
	latest     = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
)

func (w *world) deploy(image, name string) (*runpb.Service, time.Duration, error) {
	w.t.Helper()
	svc := candidate(image, name)
	op, err := w.update(svc, "template", "traffic")
	w.must(err)
	return finish(w, op)
}

func (w *world) shift(targets ...*runpb.TrafficTarget) *runpb.Service {
	w.t.Helper()
	op, err := w.update(&runpb.Service{Traffic: targets}, "traffic")
	w.must(err)
	svc, _, err := finish(w, op)
	w.must(err)
	return svc
}

// entries lists every entry that matches, over all pages.
func (w *world) entries(filter string) []*loggingpb.LogEntry {
	w.t.Helper()
	return w.entriesBy(1000, filter)
}

// entriesBy is entries with pages of a size.
func (w *world) entriesBy(size int32, filter string) []*loggingpb.LogEntry {
	w.t.Helper()
	it := w.logs.ListLogEntries(w.t.Context(), &loggingpb.ListLogEntriesRequest{
		ResourceNames: []string{"projects/" + project}, Filter: filter, PageSize: size,
	})
	var out []*loggingpb.LogEntry
	for {
		e, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		w.must(err)
		out = append(out, e)
	}
}

func requestsOf(revision string) string {
	return `resource.type="cloud_run_revision" resource.labels.service_name="backend" resource.labels.revision_name="` +
		revision + `" log_id("run.googleapis.com/requests")`
}

func failures(entries []*loggingpb.LogEntry) (n int) {
	for _, e := range entries {
		if e.GetHttpRequest().GetStatus() >= 500 {
			n++
		}
	}
	return n
}

// send sends a request to a simulated service and returns status and body.
func (w *world) send(method, url, token, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	w.must(err)
	req.Header.Set("User-Agent", "slipway-probe")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.http.Do(req)
	w.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, string(text)
}

func decode[T any](t *testing.T, text string) (out T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// collect drains a paged iterator.
func collect[T any](t *testing.T, all iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for item, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, item)
	}
	return out
}
