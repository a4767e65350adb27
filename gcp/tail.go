package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"slipway/incident"
)

// tailBuffer is how long Cloud Logging holds entries back, so that those which it receives in the meantime
// come in order.
const tailBuffer = 2 * time.Second

// alive is how a connection is found to be dead on which nothing comes: a session of a project in which
// nothing is logged is silent for as long as it lasts. Bigtable's client asks Google's servers as often
// (https://github.com/googleapis/java-bigtable, EnhancedBigtableStubSettings).
func alive() keepalive.ClientParameters {
	return keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}
}

// Tail implements incident.LogSource. The connection is asked for a sign of life after 30 s without any, and
// given up 10 s later. An error that does not pass by itself is a *rollout.Failure.
func (c *Cloud) Tail(
	ctx context.Context, project string, services []incident.Service,
	each func(*incident.Entry), suppressed func(n int64, why string),
) error {
	session, cancel := context.WithCancel(ctx)
	defer cancel() // ends the session
	in := newSieve(services)
	defer in.report(ctx, c, project)
	err := c.follow(session, project, watchedLines(services), func(res *loggingpb.TailLogEntriesResponse) {
		for _, e := range res.GetEntries() {
			if entry, ok := in.take(e); ok {
				each(&entry)
			}
		}
		for _, info := range res.GetSuppressionInfo() {
			suppressed(int64(info.GetSuppressedCount()), limitOf(info.GetReason()))
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the session that followed the logs of %s was ended by Cloud Logging", project)
	case status.Code(err) == codes.OutOfRange:
		return fmt.Errorf("the session that followed the logs of %s has lasted for as long as one may: %w", project, err)
	}
	return explain(err, logsSubject(project))
}

// follow hands on what a session answers, until its end.
func (c *Cloud) follow(ctx context.Context, project, filter string, each func(*loggingpb.TailLogEntriesResponse)) error {
	once := gax.WithRetry(func() gax.Retryer { return nil }) // else it is begun again for as long as ctx lasts
	stream, err := c.logs.TailLogEntries(ctx, once)
	if err != nil {
		return err
	}
	err = stream.Send(&loggingpb.TailLogEntriesRequest{
		ResourceNames: []string{"projects/" + project}, Filter: filter, BufferWindow: durationpb.New(tailBuffer),
	})
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: why it has ended already, Recv says
		return err
	}
	for {
		res, err := stream.Recv()
		if err != nil {
			return err
		}
		each(res)
	}
}

// limitOf is why entries were left out.
func limitOf(reason loggingpb.TailLogEntriesResponse_SuppressionInfo_Reason) string {
	switch reason {
	case loggingpb.TailLogEntriesResponse_SuppressionInfo_RATE_LIMIT:
		return "rate limit"
	case loggingpb.TailLogEntriesResponse_SuppressionInfo_NOT_CONSUMED:
		return "read too slowly"
	}
	return "no reason given"
}
