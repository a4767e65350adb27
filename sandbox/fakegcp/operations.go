package fakegcp

import (
	"context"
	"strings"
	"time"

	lropb "cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// longestWait bounds a WaitOperation that names no timeout.
const longestWait = 30 * time.Minute

// operation is a long-running operation. Its fields belong to the Cloud's lock; finished is closed at its end.
type operation struct {
	name     string
	target   string // full name of what it works on
	metadata func() *anypb.Any
	response *anypb.Any
	failure  *status.Status
	finished chan struct{}
	// neverEnds: what it works on is left as it is, under way for ever.
	neverEnds bool
}

func (o *operation) done() bool { return o.response != nil || o.failure != nil }

// newOperation registers an operation whose metadata is what subject returns at the time of asking.
func (c *Cloud) newOperation(target string, subject func() proto.Message) *operation {
	op := &operation{
		name:     c.parent() + "/operations/" + c.uid(),
		target:   target,
		metadata: func() *anypb.Any { return packed(subject()) },
		finished: make(chan struct{}),
	}
	c.operations[op.name] = op
	return op
}

func (o *operation) succeed(result proto.Message) {
	if !o.done() {
		o.response = packed(result)
		close(o.finished)
	}
}

func (o *operation) fail(code codes.Code, message string) {
	if !o.done() {
		o.failure = status.New(code, message)
		close(o.finished)
	}
}

func (o *operation) proto() *lropb.Operation {
	out := &lropb.Operation{Name: o.name, Metadata: o.metadata(), Done: o.done()}
	switch {
	case o.failure != nil:
		out.Result = &lropb.Operation_Error{Error: o.failure.Proto()}
	case o.response != nil:
		out.Result = &lropb.Operation_Response{Response: o.response}
	}
	return out
}

// packed cannot fail: its arguments are well-formed messages of this package's making.
func packed(m proto.Message) *anypb.Any {
	out, err := anypb.New(m)
	if err != nil {
		panic("fakegcp: cannot marshal " + string(m.ProtoReflect().Descriptor().FullName()) + ": " + err.Error())
	}
	return out
}

type operationsServer struct {
	lropb.UnimplementedOperationsServer
	cloud *Cloud
}

func (s operationsServer) GetOperation(_ context.Context, req *lropb.GetOperationRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	op, err := s.cloud.operation(req.GetName())
	if err != nil {
		return nil, err
	}
	return op.proto(), nil
}

// WaitOperation returns when the operation is done or the timeout has passed, whichever is first.
func (s operationsServer) WaitOperation(ctx context.Context, req *lropb.WaitOperationRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	op, err := s.cloud.operation(req.GetName())
	s.cloud.mu.Unlock()
	if err != nil {
		return nil, err
	}
	wait := longestWait
	if req.GetTimeout() != nil {
		wait = req.GetTimeout().AsDuration()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-op.finished:
	case <-timer.C:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-s.cloud.done:
		return nil, shuttingDown()
	}
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	return op.proto(), nil
}

func (s operationsServer) ListOperations(_ context.Context, req *lropb.ListOperationsRequest) (*lropb.ListOperationsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	var out []*lropb.Operation
	for _, op := range sorted(s.cloud.operations) {
		if strings.HasPrefix(op.name, req.GetName()) {
			out = append(out, op.proto())
		}
	}
	page, next, err := paged(out, req.GetPageSize(), req.GetPageToken())
	return &lropb.ListOperationsResponse{Operations: page, NextPageToken: next}, err
}

func (s operationsServer) DeleteOperation(_ context.Context, req *lropb.DeleteOperationRequest) (*emptypb.Empty, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	op, err := s.cloud.operation(req.GetName())
	if err != nil {
		return nil, err
	}
	delete(s.cloud.operations, op.name)
	return &emptypb.Empty{}, nil
}

func (c *Cloud) operation(name string) (*operation, error) {
	op := c.operations[name]
	if op == nil {
		return nil, status.Errorf(codes.NotFound, "Operation %q not found.", name)
	}
	return op, nil
}
