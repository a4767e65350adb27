package fakegcp

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Kinds of faults.
const (
	FaultError           = "error"             // not applied; answered with Code
	FaultRateLimit       = "429"               // not applied; RESOURCE_EXHAUSTED
	FaultTimeout         = "timeout"           // not applied, and no answer until the caller gives up
	FaultAppliedButError = "applied_but_error" // applied, yet answered with Code
	FaultDisconnect      = "disconnect"        // not applied; the connection is cut
	FaultNeverEnds       = "never_ends"        // UpdateService alone: applied, and its operation goes on for ever
)

// Fault makes the next calls of a method go wrong.
type Fault struct {
	Method string `json:"method"`          // "UpdateService"; empty or "*" means every method; "Registry" is the registry's HTTP
	Kind   string `json:"kind"`            // one of the Fault constants
	Code   string `json:"code,omitempty"`  // gRPC status, "UNAVAILABLE" if left out
	Count  int    `json:"count,omitempty"` // how many calls; 0 means one, negative all from now on
	// RetryAfter, in seconds, goes with a 429 as google.rpc.RetryInfo.
	RetryAfter float64 `json:"retry_after,omitempty"`
}

// Fault queues a fault. Of several that fit a call, the oldest counts.
func (c *Cloud) Fault(f Fault) error {
	kinds := []string{FaultError, FaultRateLimit, FaultTimeout, FaultAppliedButError, FaultDisconnect, FaultNeverEnds}
	if !slices.Contains(kinds, f.Kind) {
		return fmt.Errorf("fault kind %q: want one of %s", f.Kind, strings.Join(kinds, ", "))
	}
	if f.Kind == FaultNeverEnds && f.Method != "UpdateService" {
		return fmt.Errorf("fault kind %q: want the method UpdateService", f.Kind)
	}
	if _, err := f.code(); err != nil {
		return err
	}
	if f.Count == 0 {
		f.Count = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, &f)
	return nil
}

func (f Fault) code() (codes.Code, error) {
	if f.Code == "" {
		return codes.Unavailable, nil
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(strconv.Quote(f.Code))); err != nil || code == codes.OK {
		return code, fmt.Errorf("fault code %q: want a gRPC status other than OK, for example UNAVAILABLE", f.Code)
	}
	return code, nil
}

// takeFault returns the fault that the call meets, or nil.
func (c *Cloud) takeFault(method string) *Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range c.faults {
		every := (f.Method == "" || f.Method == "*") && method != registryMethod
		if !every && f.Method != method {
			continue
		}
		if f.Count--; f.Count == 0 {
			c.faults = slices.Delete(c.faults, i, i+1)
		}
		return f
	}
	return nil
}

// suffer runs a call under a fault.
func (c *Cloud) suffer(ctx context.Context, f *Fault, req any, handler grpc.UnaryHandler) (any, error) {
	switch f.Kind {
	case FaultRateLimit:
		return nil, f.rateLimited()
	case FaultTimeout:
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-c.done:
			return nil, status.Error(codes.Unavailable, "the server is shutting down")
		}
	case FaultDisconnect:
		cut(ctx)
		return nil, status.Error(codes.Unavailable, "the connection was cut")
	case FaultNeverEnds:
		return handler(context.WithValue(ctx, neverEndsKey{}, true), req)
	case FaultAppliedButError:
		if _, err := handler(ctx, req); err != nil {
			return nil, err
		}
	}
	code, err := f.code()
	if err != nil {
		return nil, err
	}
	return nil, status.Error(code, "injected fault")
}

type neverEndsKey struct{}

func neverEnds(ctx context.Context) bool { return ctx.Value(neverEndsKey{}) != nil }

const registryMethod = "Registry"

// sufferHTTP answers a request to the registry under a fault. Nothing is applied there, so that
// applied_but_error is an error like any other.
func (c *Cloud) sufferHTTP(w http.ResponseWriter, r *http.Request, f *Fault) {
	switch f.Kind {
	case FaultTimeout:
		select {
		case <-r.Context().Done():
		case <-c.done:
		}
		return
	case FaultDisconnect:
		panic(http.ErrAbortHandler)
	case FaultRateLimit:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter))))
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	code, err := f.code()
	if err != nil {
		code = codes.Unavailable
	}
	w.WriteHeader(httpStatus(code))
}

// httpStatus is a gRPC code in HTTP, as in https://cloud.google.com/apis/design/errors#http_mapping.
func httpStatus(code codes.Code) int {
	switch code {
	case codes.NotFound:
		return http.StatusNotFound
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
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

// cuttable returns credentials without security whose connections the disconnect fault can find.
func cuttable() credentials.TransportCredentials {
	return cuttableCredentials{insecure.NewCredentials()}
}

type cuttableCredentials struct {
	credentials.TransportCredentials
}

func (t cuttableCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ServerHandshake(conn)
	return conn, connInfo{AuthInfo: info, conn: conn}, err
}

func (t cuttableCredentials) Clone() credentials.TransportCredentials {
	return cuttableCredentials{t.TransportCredentials.Clone()}
}

type connInfo struct {
	credentials.AuthInfo
	conn net.Conn
}

func cut(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if info, ok := p.AuthInfo.(connInfo); ok {
		_ = info.conn.Close()
	}
}
