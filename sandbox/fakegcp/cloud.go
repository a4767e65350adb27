// Package fakegcp is a local Cloud Run, Cloud Logging, Cloud Monitoring and Artifact Registry with simulated traffic.
//
// It speaks the real gRPC and HTTP interfaces, so that Google's own clients and go-containerregistry work
// against it unchanged, over any net.Listener. What it does depends on its configuration, its seed and the
// time package alone: it runs inside a testing/synctest bubble, and the same seed gives the same logs.
package fakegcp

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	lropb "cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const tickEvery = 250 * time.Millisecond // how often simulated traffic is generated

// Config says where the cloud is and how it behaves.
type Config struct {
	Project, Region string
	Seed            uint64  // phase and order of the simulated traffic, names and etags
	Speed           float64 // cloud latencies are divided by it (0 means 1); traffic and timers stay real
	// Listen opens a listener for the host of a service or tag and says under which base URL clients reach
	// it. Left out, services have https URLs that nobody answers. It must not call back into the Cloud.
	Listen       func(host string) (l net.Listener, baseURL string, err error)
	Log          *slog.Logger
	RegistryHost string   // what image references start with; "us-docker.pkg.dev" if left out
	E2EToken     string   // accepted by every revision next to the tokens its login hands out
	Denied       []string // permissions that TestIamPermissions leaves out and calls are refused for; see Deny
	LogQuota     int      // ListLogEntries calls a minute; 0 means Google's 60, negative none
	TailRate     int      // entries that TailLogEntries sends a minute; 0 means Google's 60,000, negative no limit
}

// Cloud is the whole fake. All methods may be called at the same time.
type Cloud struct {
	cfg      Config
	log      *slog.Logger
	registry http.Handler

	mu         sync.Mutex
	started    bool
	closed     bool
	done       chan struct{} // closed by Close
	changed    chan struct{} // closed and replaced at each change
	work       sync.WaitGroup
	rand       *rand.Rand
	trouble    *rand.Rand // what faults draw from, so that they leave the rest as it is
	services   map[string]*service
	jobs       map[string]*job
	operations map[string]*operation
	behaviors  map[string]Behavior // by digest
	tokens     map[string]string   // token handed out by a login → user
	logs       logStore
	listCalls  []time.Time // of the last minute, for the quota
	listed     int         // ListLogEntries calls ever
	tails      map[*tailSession]bool
	tailed     allowance
	journal    []Call
	faults     []*Fault
	unguarded  bool // see IgnorePreconditions
}

// New returns a cloud without services. End it with Close.
func New(cfg Config) *Cloud {
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.RegistryHost == "" {
		cfg.RegistryHost = "us-docker.pkg.dev"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Cloud{
		cfg:        cfg,
		log:        cfg.Log,
		registry:   newRegistry(),
		done:       make(chan struct{}),
		changed:    make(chan struct{}),
		rand:       rand.New(rand.NewPCG(cfg.Seed, 1)),
		trouble:    rand.New(rand.NewPCG(cfg.Seed, 3)),
		services:   map[string]*service{},
		jobs:       map[string]*job{},
		operations: map[string]*operation{},
		behaviors:  map[string]Behavior{},
		tokens:     map[string]string{},
		tails:      map[*tailSession]bool{},
	}
}

// Server returns a gRPC server with every API of the cloud on it. The caller serves and stops it.
func (c *Cloud) Server(opts ...grpc.ServerOption) *grpc.Server {
	own := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(c.intercept), grpc.ChainStreamInterceptor(c.interceptStream),
		grpc.UnknownServiceHandler(notFound), grpc.Creds(findable()),
		// Google's servers let clients ask for a sign of life more often than gRPC does by itself.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	srv := grpc.NewServer(append(own, opts...)...)
	runpb.RegisterServicesServer(srv, servicesServer{cloud: c})
	runpb.RegisterRevisionsServer(srv, revisionsServer{cloud: c})
	runpb.RegisterJobsServer(srv, jobsServer{cloud: c})
	runpb.RegisterExecutionsServer(srv, executionsServer{cloud: c})
	lropb.RegisterOperationsServer(srv, operationsServer{cloud: c})
	loggingpb.RegisterLoggingServiceV2Server(srv, loggingServer{cloud: c})
	monitoringpb.RegisterMetricServiceServer(srv, metricsServer{cloud: c})
	return srv
}

// Start lets simulated traffic flow until ctx ends or the cloud is closed.
func (c *Cloud) Start(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closed {
		return
	}
	c.started = true
	now := time.Now()
	for _, svc := range c.services {
		svc.generatedTo = now
	}
	c.work.Go(func() { c.generateTraffic(ctx) })
}

// Close ends traffic, operations, listeners and connections and waits for every goroutine of the cloud. Stop
// its server first: a session of TailLogEntries whose client does not read ends no other way.
func (c *Cloud) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.done)
		for _, svc := range c.services {
			svc.closeEndpoints()
		}
	}
	c.mu.Unlock()
	c.work.Wait()
}

// Changed returns a channel that is closed at the next change: a call, an operation's end, a shift of
// traffic. Generated log entries alone are no change.
func (c *Cloud) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *Cloud) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// after runs do with the lock held when the cloud latency d has passed, unless the cloud is closed first.
// The caller holds the lock.
func (c *Cloud) after(d time.Duration, do func()) {
	if c.closed {
		return
	}
	timer := time.NewTimer(c.scaled(d))
	c.work.Go(func() {
		defer timer.Stop()
		select {
		case <-c.done:
			return
		case <-timer.C:
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return
		}
		do()
		c.notify()
	})
}

func (c *Cloud) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.cfg.Speed)
}

func (c *Cloud) parent() string {
	return "projects/" + c.cfg.Project + "/locations/" + c.cfg.Region
}

// uid returns an identifier in the shape of a UUID, the same for the same seed and order of calls.
func (c *Cloud) uid() string {
	a, b := c.rand.Uint64(), c.rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func (c *Cloud) etag() string {
	return `"` + base64.RawStdEncoding.EncodeToString(fmt.Appendf(nil, "%016x", c.rand.Uint64())) + `"`
}

const suffixLetters = "bcdfghjklmnpqrstvwxz"

// suffix returns n letters as Cloud Run appends them to names it makes up.
func (c *Cloud) suffix(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = suffixLetters[c.rand.IntN(len(suffixLetters))]
	}
	return string(b)
}

// hash mixes the seed and a name, for what must not depend on the order of calls.
func (c *Cloud) hash(name string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s", c.cfg.Seed, name)
	return h.Sum64()
}
