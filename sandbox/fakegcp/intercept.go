package fakegcp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// intercept checks permissions, injects faults and keeps the journal.
func (c *Cloud) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	call := Call{Time: time.Now(), Method: lastPart(info.FullMethod)}
	if m, ok := req.(proto.Message); ok {
		call.Request, call.Summary = requestJSON(m), summary(call.Method, m)
	}
	res, err := c.answer(ctx, &call, req, handler)
	err = c.unknown(ctx, info.FullMethod, call.Fault, err)
	c.remember(ctx, call, err)
	return res, err
}

func (c *Cloud) answer(ctx context.Context, call *Call, req any, handler grpc.UnaryHandler) (any, error) {
	if err := c.permit(call.Method); err != nil {
		return nil, err
	}
	late, f := c.takeLatency(call.Method), c.takeFault(call.Method)
	call.Fault = faultName(f, late)
	under := handler
	if f != nil {
		under = func(ctx context.Context, req any) (any, error) { return c.suffer(ctx, f, req, handler) }
	}
	res, err := under(ctx, req)
	if gone := c.delay(ctx, late); gone != nil {
		return nil, gone
	}
	return res, err
}

// interceptStream is intercept for calls that are no single question and answer. What is asked for is known
// only once the handler has read it; see asked.
func (c *Cloud) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	call := &Call{Time: time.Now(), Method: lastPart(info.FullMethod)}
	ctx := context.WithValue(stream.Context(), callKey{}, call)
	err := c.answerStream(srv, &carrying{stream, ctx}, call, handler)
	err = c.unknown(ctx, info.FullMethod, call.Fault, err)
	c.remember(ctx, *call, err)
	return err
}

func (c *Cloud) answerStream(srv any, stream grpc.ServerStream, call *Call, handler grpc.StreamHandler) error {
	if err := c.permit(call.Method); err != nil {
		return err
	}
	late, f := c.takeLatency(call.Method), c.takeFault(call.Method)
	call.Fault = faultName(f, late)
	if gone := c.delay(stream.Context(), late); gone != nil {
		return gone
	}
	if f != nil { // there is no effect that could be applied
		return c.refuse(stream.Context(), f)
	}
	return handler(srv, stream)
}

// faultName is how the journal names what a call met.
func faultName(f *Fault, late time.Duration) string {
	switch {
	case f != nil:
		return f.Kind
	case late > 0:
		return FaultLatency
	}
	return ""
}

func (c *Cloud) permit(method string) error {
	permission := requires(method)
	if permission == "" || !c.isDenied(permission) {
		return nil
	}
	return missing(permission)
}

// unknown turns the error of a method that is not emulated into that of a server which does not know it, as
// https://grpc.io/docs/guides/status-codes/ has it, and names the method in the log.
func (c *Cloud) unknown(ctx context.Context, fullMethod, fault string, err error) error {
	if status.Code(err) != codes.Unimplemented || fault != "" {
		return err
	}
	c.log.WarnContext(ctx, "method is not emulated", "method", fullMethod)
	return status.Error(codes.Unimplemented, "Method not found.")
}

func notFound(_ any, _ grpc.ServerStream) error {
	return status.Error(codes.Unimplemented, "Method not found.")
}

// remember puts an answered call into the journal.
func (c *Cloud) remember(ctx context.Context, call Call, err error) {
	call.Outcome = "OK"
	if err != nil {
		call.Outcome = canonical(status.Code(err)) + ": " + status.Convert(err).Message()
	}
	call.Summary = cmp.Or(call.Summary, call.Method)
	c.log.DebugContext(ctx, "cloud call", "method", call.Method, "outcome", call.Outcome, "summary", call.Summary)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.journal) == longestJournal {
		c.journal = slices.Delete(c.journal, 0, longestJournal/10)
	}
	c.journal = append(c.journal, call)
	c.notify()
}

// carrying is a stream whose handler finds the journal's call in its context.
type carrying struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *carrying) Context() context.Context { return s.ctx }

// endBy is how a stream under way ends that meets a fault, which the journal names.
func (c *Cloud) endBy(ctx context.Context, f *Fault) error {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		call.Fault = f.Kind
	}
	return c.refuse(ctx, f)
}

type callKey struct{}

// asked notes in the journal what a stream asks for.
func asked(ctx context.Context, req proto.Message) {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		call.Request, call.Summary = requestJSON(req), summary(call.Method, req)
	}
}
