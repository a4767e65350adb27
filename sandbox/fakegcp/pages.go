package fakegcp

// Pages of lists that end early or lead nowhere: faults that fit every list call, whatever it lists.

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// truncated answers a list with the first half of the page that it would have been. The token goes on from
// there, so that only who takes a short page for the last one loses anything.
func truncated(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	whole, err := handler(ctx, req)
	if err != nil {
		return nil, err
	}
	half := items(whole.(proto.Message)) / 2
	again := proto.Clone(req.(proto.Message))
	size := again.ProtoReflect().Descriptor().Fields().ByName("page_size")
	if half == 0 || size == nil {
		return whole, nil
	}
	again.ProtoReflect().Set(size, protoreflect.ValueOfInt32(int32(half)))
	return handler(context.WithValue(ctx, againKey{}, true), again)
}

// items counts the entries of a list's answer: those of its first repeated field.
func items(list proto.Message) int {
	fields := list.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fields.Get(i).IsList() {
			return list.ProtoReflect().Get(fields.Get(i)).List().Len()
		}
	}
	return 0
}

type againKey struct{}

// isAgain says that a call was counted and answered once already.
func isAgain(ctx context.Context) bool { return ctx.Value(againKey{}) != nil }

// badToken answers a list with a token that is none of its own.
func badToken(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	if err != nil {
		return nil, err
	}
	m := res.(proto.Message).ProtoReflect()
	if token := m.Descriptor().Fields().ByName("next_page_token"); token != nil {
		m.Set(token, protoreflect.ValueOfString("!expired"))
	}
	return res, nil
}
