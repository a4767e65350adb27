package fakegcp

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"

	"google.golang.org/grpc/codes"
)

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
	case FaultDisconnect, FaultDrop:
		panic(http.ErrAbortHandler)
	case FaultTruncated:
		c.half(w, r)
		return
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

// half promises the whole answer, sends the first half of its body and drops the connection.
func (c *Cloud) half(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	c.registry.ServeHTTP(rec, r)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	body := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
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
