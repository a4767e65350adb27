package fakegcp

// How calls fare under the faults of Fault.

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// suffer runs a call under a fault.
func (c *Cloud) suffer(ctx context.Context, f *Fault, req any, handler grpc.UnaryHandler) (any, error) {
	switch f.Kind {
	case FaultNeverEnds:
		return handler(context.WithValue(ctx, authorKey{}, author{neverEnds: true}), req)
	case FaultCrash:
		after := time.Duration(f.Seconds * float64(time.Second))
		return handler(context.WithValue(ctx, authorKey{}, author{crashAfter: after}), req)
	case FaultTruncated:
		return truncated(ctx, req, handler)
	case FaultBadToken:
		return badToken(ctx, req, handler)
	case FaultAppliedButError:
		if _, err := handler(ctx, req); err != nil {
			return nil, err
		}
	}
	return nil, c.refuse(ctx, f)
}

// refuse is what a call ends with that is not applied, or whose answer is lost.
func (c *Cloud) refuse(ctx context.Context, f *Fault) error {
	switch f.Kind {
	case FaultRateLimit:
		return f.rateLimited()
	case FaultTimeout:
		return c.silence(ctx)
	case FaultDisconnect:
		cut(ctx)
		return status.Error(codes.Unavailable, "the connection was cut")
	case FaultDrop:
		return status.Error(codes.Unavailable, "The service is currently unavailable.")
	case FaultHalfOpen:
		mute(ctx)
		return status.Error(codes.Unavailable, "nobody hears this")
	}
	code, err := f.code()
	if err != nil {
		return err
	}
	return status.Error(code, "injected fault")
}

// silence lasts until the caller gives up.
func (c *Cloud) silence(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-c.done:
		return shuttingDown()
	}
}

// delay holds an answer back.
func (c *Cloud) delay(ctx context.Context, by time.Duration) error {
	if by <= 0 {
		return nil
	}
	timer := time.NewTimer(by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-c.done:
		return shuttingDown()
	}
}

func shuttingDown() error { return status.Error(codes.Unavailable, "the server is shutting down") }

type authorKey struct{}

// authorOf says what a fault wants of the update that is called for.
func authorOf(ctx context.Context) author {
	by, _ := ctx.Value(authorKey{}).(author)
	return by
}

func (f Fault) rateLimited() error {
	st := status.New(codes.ResourceExhausted, "Quota exceeded; try again later")
	if f.RetryAfter <= 0 {
		return st.Err()
	}
	delay := durationpb.New(time.Duration(f.RetryAfter * float64(time.Second)))
	detailed, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: delay})
	if err != nil {
		return st.Err()
	}
	return detailed.Err()
}
