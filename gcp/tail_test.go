package gcp

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"

	"slipway/incident"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/memnet"
)

// following is a Tail under way.
type following struct {
	mu         sync.Mutex
	entries    []incident.Entry
	suppressed map[string]int64
	cancel     context.CancelFunc
	ended      chan error
}

func (w *world) tail(ctx context.Context) *following {
	ctx, cancel := context.WithCancel(ctx)
	f := &following{suppressed: map[string]int64{}, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		f.ended <- w.cloud.Tail(ctx, project, []incident.Service{alerting()}, func(e *incident.Entry) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.entries = append(f.entries, *e)
		}, func(n int64, why string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.suppressed[why] += n
		})
	}()
	return f
}

func (f *following) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.entries)
}

// end stops it and returns the entries.
func (f *following) end(t *testing.T) []incident.Entry {
	t.Helper()
	f.cancel()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	return f.entries
}

// What is followed is what is listed later, late and out of order as it comes.
func TestTailBringsWhatIsReceived(t *testing.T) {
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		must(t, w.fake.Fault(fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Seconds: 20, Distribution: fakegcp.Uniform, Share: 0.1, Count: -1}))
		from := time.Now()
		f := w.tail(ctx)
		time.Sleep(time.Minute)
		to := time.Now()
		time.Sleep(10 * time.Second)
		got := f.end(t)
		late := 0
		var within []incident.Entry
		for i, e := range got {
			if i > 0 && e.At.Before(got[i-1].At) {
				late++
			}
			if e.Received.Before(to) {
				within = append(within, e)
			}
		}
		if late == 0 {
			t.Error("nothing came out of order")
		}
		wantEach(t, "followed", within, w.entries(ctx, from, to))
		if n := w.fake.State().Tails; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestTailTellsWhatIsLeftOut(t *testing.T) {
	inWatch(t, fakegcp.Config{TailRate: 600}, func(ctx context.Context, w *world) {
		f := w.tail(ctx)
		time.Sleep(time.Minute)
		got := f.end(t)
		if n := f.suppressed["rate limit"]; len(f.suppressed) != 1 || len(got) != 600 || n < 1000 {
			t.Errorf("%d entries came, and %v were left out", len(got), f.suppressed)
		}
	})
}

// Tail says why it ends. What passes is a plain error, to be tried again.
func TestTailSaysWhyItEnds(t *testing.T) {
	open := func(kind, code string) func(w *world) {
		return func(w *world) {
			must(w.t, w.fake.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: kind, Code: code, Open: true}))
		}
	}
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		for _, tt := range []struct {
			name    string
			trouble func(w *world)
			again   bool // it is begun once more after the trouble
			says    string
			label   string // of a failure
		}{
			{name: "unavailable", trouble: open(fakegcp.FaultError, "UNAVAILABLE"), says: "no answer about the logs of " + project},
			{name: "cut off", trouble: open(fakegcp.FaultDisconnect, ""), says: "no answer about the logs of " + project},
			{name: "its time is over", trouble: open(fakegcp.FaultError, "OUT_OF_RANGE"), says: "has lasted for as long as one may"},
			{name: "too many sessions", trouble: open(fakegcp.FaultRateLimit, ""), says: "ResourceExhausted"},
			{name: "half open", trouble: open(fakegcp.FaultHalfOpen, ""), says: "no answer about the logs of " + project},
			{name: "refused", again: true, says: "no answer about the logs of " + project, trouble: func(w *world) {
				open(fakegcp.FaultDrop, "")(w)
				must(w.t, w.fake.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: fakegcp.FaultDrop}))
			}},
			{name: "no right", again: true, label: "permission_denied", says: "roles/logging.viewer", trouble: func(w *world) {
				open(fakegcp.FaultDrop, "")(w)
				w.fake.Deny("logging.logEntries.list")
			}},
		} {
			f := w.tail(ctx)
			time.Sleep(5 * time.Second)
			if f.count() == 0 {
				t.Fatalf("%s: nothing comes before the trouble", tt.name)
			}
			tt.trouble(w)
			began := time.Now()
			err := <-f.ended
			if tt.again {
				err = <-w.tail(ctx).ended
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q in it", tt.name, err, tt.says)
			}
			if took := time.Since(began); took > 41*time.Second {
				t.Errorf("%s: it took %v to notice", tt.name, took)
			}
			if failure := asFailure(err); (failure != nil) != (tt.label != "") || failure != nil && failure.Label != tt.label {
				t.Errorf("%s: %#v, want the label %q", tt.name, err, tt.label)
			}
		}
	})
}

// Where nobody answers, it is whoever follows that tries again, and knows.
func TestTailWithoutACloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, err := Open(t.Context(), Config{Endpoint: "nowhere.test:443", Dial: memnet.New().Dial})
		must(t, err)
		began := time.Now()
		err = cloud.Tail(t.Context(), project, []incident.Service{alerting()}, nil, nil)
		if err == nil || asFailure(err) != nil || time.Since(began) > callTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		must(t, cloud.Close())
	})
}

// A session in which nothing is said stays open.
func TestTailOfASilentProject(t *testing.T) {
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		none := 0.0
		for _, service := range []string{cloudRun, "other"} {
			must(t, w.fake.Traffic(fakegcp.TrafficRequest{Service: service, RPS: &none}))
		}
		time.Sleep(time.Minute)
		f := w.tail(ctx)
		time.Sleep(30 * time.Minute)
		if got := f.end(t); len(got) != 0 {
			t.Errorf("%d entries", len(got))
		}
	})
}

func TestLimits(t *testing.T) {
	words := map[string]bool{}
	for reason := range loggingpb.TailLogEntriesResponse_SuppressionInfo_Reason_name {
		words[limitOf(loggingpb.TailLogEntriesResponse_SuppressionInfo_Reason(reason))] = true
	}
	if want := map[string]bool{"rate limit": true, "read too slowly": true, "no reason given": true}; !maps.Equal(words, want) {
		t.Errorf("%v, want %v: is there another reason?", words, want)
	}
}
