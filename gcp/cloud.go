// Package gcp carries a rollout's decisions out on Google Cloud: revisions and traffic of Cloud Run
// services, runs of Cloud Run jobs, images in a registry, and the request logs and metrics that gates count.
package gcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"time"

	logging "cloud.google.com/go/logging/apiv2"
	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"slipway/plan"
	"slipway/rollout"
)

const (
	callTime = 10 * time.Second // of one call
	listTime = 20 * time.Second // of one listing, all its pages

	// The clients' defaults ask for more than reading.
	readLogs    = "https://www.googleapis.com/auth/logging.read"
	readMetrics = "https://www.googleapis.com/auth/monitoring.read"
)

// Config says where Google Cloud is. The zero value is the real one, with application default
// credentials.
type Config struct {
	Endpoint string // host:port of a local stand-in for Cloud Run, Logging and Monitoring, spoken to in the clear; "" is Google
	Registry string // host:port of a local stand-in for every image registry, plain HTTP, anonymous; "" is the real ones
	// Dial opens the connections to Endpoint and Registry; nil uses the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Log  *slog.Logger
}

// Cloud talks to Google Cloud. It implements rollout.Inspector and rollout.RequestLog; Actions are
// the step kinds it can do. All methods may be called at the same time.
type Cloud struct {
	services   *run.ServicesClient
	revisions  *run.RevisionsClient
	jobs       *run.JobsClient
	executions *run.ExecutionsClient
	logs       *logging.Client
	metrics    *monitoring.MetricClient
	registry   *registry
	tallies    tallies
	log        *slog.Logger
	closers    []func() error
}

// Open connects to the cloud of cfg. It makes no call yet, so that an error is one of the settings
// or of missing credentials.
func Open(ctx context.Context, cfg Config) (*Cloud, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cloud{registry: newRegistry(cfg), log: cfg.Log, tallies: tallies{byKey: map[tallyKey]*tally{}}}
	c.closers = append(c.closers, c.registry.Close)
	if err := c.connect(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set up Google Cloud: %w", err), c.Close())
	}
	return c, nil
}

// Close ends the connections. Calls under way fail.
func (c *Cloud) Close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// Actions returns the step kinds that need Google Cloud.
func (c *Cloud) Actions() map[plan.Kind]rollout.Action {
	return map[plan.Kind]rollout.Action{
		plan.KindDeploy:         deployAction{c},
		plan.KindTraffic:        trafficAction{c},
		plan.KindJob:            jobAction{c},
		plan.KindPermissions:    check{c.checkPermissions},
		plan.KindRollbackTarget: check{c.checkRollbackTarget},
	}
}

func (c *Cloud) connect(ctx context.Context, cfg Config) error {
	options, err := c.options(cfg)
	if err != nil {
		return err
	}
	// A client that lives on a shared connection must not close it, so only the others are closed.
	keep := func(closer func() error) {
		if cfg.Endpoint == "" {
			c.closers = append(c.closers, closer)
		}
	}
	if c.services, err = run.NewServicesClient(ctx, options()...); err != nil {
		return err
	}
	keep(c.services.Close)
	if c.revisions, err = run.NewRevisionsClient(ctx, options()...); err != nil {
		return err
	}
	keep(c.revisions.Close)
	if c.jobs, err = run.NewJobsClient(ctx, options()...); err != nil {
		return err
	}
	keep(c.jobs.Close)
	if c.executions, err = run.NewExecutionsClient(ctx, options()...); err != nil {
		return err
	}
	keep(c.executions.Close)
	lasting := option.WithGRPCDialOption(grpc.WithKeepaliveParams(alive()))
	if c.logs, err = logging.NewClient(ctx, append(options(readLogs), lasting)...); err != nil {
		return err
	}
	keep(c.logs.Close)
	if c.metrics, err = monitoring.NewMetricClient(ctx, options(readMetrics)...); err != nil {
		return err
	}
	keep(c.metrics.Close)
	return nil
}

// options returns what a client's options are, given the scopes that it needs (none: its default ones):
// Google with its credentials, or one connection in the clear to the endpoint of cfg that all clients share.
func (c *Cloud) options(cfg Config) (func(scopes ...string) []option.ClientOption, error) {
	if cfg.Endpoint == "" {
		return func(scopes ...string) []option.ClientOption {
			if len(scopes) == 0 {
				return nil
			}
			return []option.ClientOption{option.WithScopes(scopes...)}
		}, nil
	}
	dial := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithKeepaliveParams(alive())}
	if cfg.Dial != nil {
		dial = append(dial, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return cfg.Dial(ctx, "tcp", addr)
		}))
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Endpoint, dial...)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, conn.Close)
	return func(...string) []option.ClientOption {
		return []option.ClientOption{option.WithGRPCConn(conn), option.WithoutAuthentication()}
	}, nil
}

// call makes one call with a deadline of its own: Google's clients repeat reads for as long as the
// context lives.
func call[Request, Answer any](
	ctx context.Context,
	do func(context.Context, Request, ...gax.CallOption) (Answer, error),
	request Request,
) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return do(ctx, request)
}

// service reads a service. The error is ready for people.
func (c *Cloud) service(ctx context.Context, s rollout.Service) (*runpb.Service, error) {
	svc, err := call(ctx, c.services.GetService, &runpb.GetServiceRequest{Name: servicePath(s)})
	if err != nil {
		return nil, explain(err, serviceSubject(s))
	}
	return svc, nil
}

// revision reads a revision; the error is Google's.
func (c *Cloud) revision(ctx context.Context, s rollout.Service, name string) (*runpb.Revision, error) {
	return call(ctx, c.revisions.GetRevision, &runpb.GetRevisionRequest{Name: servicePath(s) + "/revisions/" + name})
}

func parent(s rollout.Service) string {
	return "projects/" + s.Project + "/locations/" + s.Region
}

func servicePath(s rollout.Service) string { return parent(s) + "/services/" + s.CloudRun }

// short is the last part of a resource's name. Cloud Run gives some revisions' names as paths and
// others bare.
func short(name string) string {
	if name == "" {
		return ""
	}
	return path.Base(name)
}

// taskService returns the service that a step is about.
func taskService(t rollout.Task, name string) (rollout.Service, error) {
	s, ok := t.Services[name]
	if !ok {
		return s, &rollout.Failure{
			Reason: fmt.Sprintf("%s is not part of this rollout, so its step cannot run.", name),
			Label:  "unknown_service",
		}
	}
	return s, nil
}
