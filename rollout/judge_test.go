package rollout

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// gateStep is an error_rate step with other options than gateSpec's.
func gateStep(change func(*plan.Gate)) plan.Step {
	spec := gateSpec()
	change(&spec.Gate)
	return plan.Step{Name: "Errors", Kind: plan.KindErrorRate, ErrorRate: spec}
}

func latencyStep() plan.Step {
	return plan.Step{Name: "Fast", Kind: plan.KindLatency, Latency: &plan.Latency{Gate: gateSpec().Gate, Percent: 95, Below: seconds(800 * time.Millisecond)}}
}

// probed adds test requests to users'.
func probed(users Requests, tests Requests) Requests {
	users.Probes = tests.Slots
	if tests.Watermark.After(users.Watermark) {
		users.Watermark = tests.Watermark
	}
	return users
}

// bursts are perSecond requests a second, all of which fail for `long` seconds in each `every`.
func bursts(to int, perSecond int64, every, long int) Requests {
	r := steady(0, to, perSecond, 0)
	for i := range r.Slots {
		if i%every < long {
			r.Slots[i].Errors = perSecond
		}
	}
	return r
}

func TestGateOptions(t *testing.T) {
	five := 5 * time.Minute
	probes := gateStep(func(g *plan.Gate) { g.Probes = plan.DefaultProbes() })
	production := gateStep(func(g *plan.Gate) { g.Probes, g.UsersOnly = plan.DefaultProbes(), true })
	then := func(what plan.OnInconclusive) plan.Step {
		return gateStep(func(g *plan.Gate) { g.OnInconclusive = what })
	}
	buckets := gateStep(func(g *plan.Gate) { g.Evidence, g.Budget = plan.EvidenceBuckets, seconds(time.Hour) })
	compare := gateStep(func(g *plan.Gate) { g.Compare = plan.CompareOld })
	slow := steady(5, 30, 4, 0)
	for i := range slow.Slots {
		slow.Slots[i].Slow = int64(i % 2 * 2)
	}
	unclear := steady(5, 30, 4, 0)
	for i := range unclear.Slots {
		unclear.Slots[i].Unclear = 1
	}
	metrics := Requests{Source: FromMetrics, Every: time.Minute, Watermark: t0.Add(2 * time.Minute), Slots: []Slot{{At: t0.Add(time.Minute), Requests: 80}}}
	lost := func(n int64) Requests {
		r := steady(5, 30, 4, 0)
		r.Dropped = n
		return r
	}
	good := &Baseline{Requests: 1672, Errors: 3, Since: t0.Add(-10 * time.Minute), Until: t0}
	tests := []struct {
		name     string
		step     plan.Step
		old      *Baseline
		requests Requests
		now      time.Duration
		state    OutcomeState
		label    string
		note     string // a part of it
	}{
		{"test requests pass", probes, nil, probed(steady(5, 7, 1, 0), steady(5, 60, 2, 0)), time.Minute, Passed, "", "Test requests: errors 0% (0 of 100), at most 3.5%. Limit 5%: passed on test requests. Of users: no errors in 2 requests."},
		{"they are on their way", probes, nil, probed(steady(5, 7, 1, 0), steady(5, 25, 2, 0)), 25 * time.Second, StillRunning, "", "Test requests: no errors in 30 requests, "},
		{"they are counted for nothing where users fail", probes, nil, probed(steady(5, 60, 1, 5), steady(5, 60, 2, 0)), time.Minute, StillRunning, "", "50 requests, 5 errors."},
		{"they fail", probes, nil, probed(steady(5, 7, 1, 0), steady(5, 30, 2, 20)), 30 * time.Second, FailedState, LabelProbes, "Test requests: errors 50% (20 of 40). Limit 5%: failed."},
		{"production wants users", production, nil, probed(steady(5, 7, 1, 0), steady(5, 300, 2, 0)), five, Inconclusive, LabelLittle, "Not enough traffic: 2 of at least 70 requests. Test requests: no errors in 580 requests. They alone are no pass in production."},
		{"undecided asks", then(plan.InconclusiveAsks), nil, steady(5, 10, 1, 0), five, Inconclusive, LabelLittle, "Not enough traffic: 0 of"},
		{"undecided fails", then(plan.InconclusiveFails), nil, steady(5, 305, 0, 0), five, FailedState, LabelLittle, "Not enough traffic: 0 of at least 70 requests."},
		{"undecided passes, and says so", then(plan.InconclusivePasses), nil, steady(5, 305, 0, 0), five, Passed, LabelUnchecked, "Not enough traffic: 0 of at least 70 requests. Let through without evidence, as on_inconclusive: pass says."},
		{"undecided is extended", then(plan.InconclusiveExtends), nil, steady(5, 305, 0, 0), five, StillRunning, "", "No requests yet."},
		{"and then asks", then(plan.InconclusiveExtends), nil, steady(5, 305, 0, 0), five + ExtraTime, Inconclusive, LabelLittle, "Not enough traffic"},
		{"buckets take longer than requests", buckets, good, steady(0, 100, 10, 0), 100 * time.Second, StillRunning, "", "900 requests, no errors."},
		{"and pass", buckets, good, steady(0, 1500, 10, 0), 25 * time.Minute, Passed, "", "Limit 5%: passed."},
		{"bursts at 7% do not pass by buckets", buckets, good, bursts(1500, 10, 70, 5), 25 * time.Minute, StillRunning, "", " errors. "},
		{"worse than the old one, below the limit", compare, good, steady(0, 400, 10, 120), 6 * time.Minute, FailedState, LabelWorse, "worse than the old revision."},
		{"as good as the old one", compare, good, steady(5, 60, 4, 0), time.Minute, Passed, "", "Limit 5%: passed."},
		{"fast enough", latencyStep(), nil, steady(5, 30, 4, 4), 30 * time.Second, Passed, "", "Slower than 800ms: 0% (0 of 80), at most 4.4%. Limit 5%: passed."},
		{"too slow", latencyStep(), nil, slow, 30 * time.Second, FailedState, "latency", "Slower than 800ms: 25% (20 of 80). Limit 5%: failed."},
		{"nobody knows how slow", latencyStep(), nil, unclear, 30 * time.Second, StillRunning, "", "60 requests, no slow ones."},
		{"by metrics, whose minutes are closed", gateStep(func(*plan.Gate) {}), nil, metrics, 2 * time.Minute, Passed, "", "Errors 0% (0 of 80)"},
		{"some entries are known to be lost", gateStep(func(*plan.Gate) {}), nil, lost(5), 30 * time.Second, StillRunning, "", "80 requests, no errors."},
		{"nobody knows how many", gateStep(func(*plan.Gate) {}), nil, lost(verdict.DroppedUnknown), five, Inconclusive, LabelLittle, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := Service{Name: "backend", Candidate: Revision{Name: "backend-s1-1"}, Baseline: tt.old, Percent: 100}
			c := Case{Rollout: "abc234", Step: "3.3", Spec: tt.step, Service: service, Since: t0, Requests: tt.requests, Probing: tt.requests.Probes != nil}
			o, err := JudgeRate(c, t0.Add(tt.now))
			if err != nil {
				t.Fatal(err)
			}
			if o.State != tt.state || o.Label != tt.label || !strings.Contains(o.Note, tt.note) {
				t.Errorf("got %s [%s] %q\nwant %s [%s] %q", o.State, o.Label, o.Note, tt.state, tt.label, tt.note)
			}
			checkReceipt(t, o)
		})
	}
}

// checkReceipt: whatever ends has a receipt that holds by itself and says the same; nothing else has.
func checkReceipt(t *testing.T, o Outcome) {
	t.Helper()
	r := o.Gate.Receipt
	if (r != nil) != (o.State != StillRunning) {
		t.Fatalf("a gate that is %s, with the receipt %v", o.State, r)
	}
	if r == nil {
		return
	}
	if err := r.Check(); err != nil {
		t.Errorf("its receipt: %v", err)
	}
	if r.Result != o.Gate.Verdict || r.Rollout != "abc234" || r.Step != "3.3" {
		t.Errorf("verdict %s, in the receipt of %s/%s %s", o.Gate.Verdict, r.Rollout, r.Step, r.Result)
	}
	unproven := o.Label == LabelUnchecked || o.Label == LabelLittle || o.State == Inconclusive
	if unproven != (o.Gate.Verdict == verdict.Inconclusive) {
		t.Errorf("a gate that is %s [%s], with the verdict %s", o.State, o.Label, o.Gate.Verdict)
	}
}

// A receipt has the requests of its window that were logged late; others are not its own.
func TestReceiptKnowsWhatWasLate(t *testing.T) {
	requests := steady(0, 60, 4, 0)
	for i := range requests.Slots {
		requests.Slots[i].Late = 1
	}
	o, err := JudgeRate(Case{Spec: gateStep(func(*plan.Gate) {}), Since: t0, Requests: requests}, t0.Add(40*time.Second))
	if err != nil || o.State != Passed || o.Gate.Receipt.Late != 30 { // of the seconds from 5 to 35
		t.Fatalf("%s, %+v, %v", o.State, o.Gate.Receipt, err)
	}
	if err := o.Gate.Receipt.Check(); err != nil {
		t.Error(err)
	}
}

// counter is a Prober, and a log that holds nothing else but what it was asked for.
type counter struct {
	probes []Slot
	broken bool
}

func (c *counter) Probe(_ context.Context, s Service, path string) error {
	if s.Candidate.URL != "https://candidate.test" || path != "/" {
		return fmt.Errorf("%s%s was asked for", s.Candidate.URL, path)
	}
	if !c.broken {
		c.probes = append(c.probes, Slot{At: time.Now().UTC(), Requests: 1})
	}
	return nil
}

func (c *counter) Requests(context.Context, Query) (Requests, error) {
	return Requests{Every: time.Second, Watermark: time.Now(), Probes: c.probes}, nil
}

func (c *counter) Lines(context.Context, Service, string, string, time.Time) (Lines, error) {
	return Lines{}, nil
}

// A gate that is polled sends its test requests at their rate, and passes on them; one by metrics, which would take
// them for users', sends none.
func TestTestRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*plan.Gate)
		probing bool
		source  string
		state   OutcomeState
		sent    [2]int // at least and at most
	}{
		"planned":         {change: func(g *plan.Gate) { g.Probes = plan.DefaultProbes() }, state: Passed, sent: [2]int{75, 130}},
		"asked for":       {change: func(*plan.Gate) {}, probing: true, state: Passed, sent: [2]int{75, 130}},
		"nobody asked":    {change: func(*plan.Gate) {}, state: Inconclusive},
		"metrics instead": {change: func(g *plan.Gate) { g.Probes = plan.DefaultProbes() }, source: FromMetrics, state: Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &counter{}
				action := GateActions(c, c)[plan.KindErrorRate]
				task := Task{Step: gateStep(tt.change), Probing: tt.probing, Services: map[string]Service{"backend": {
					Name: "backend", Source: tt.source, Candidate: Revision{Name: "backend-s1-1", URL: "https://candidate.test"}, ShiftedAt: time.Now(),
				}}}
				handle, err := action.Start(t.Context(), task)
				if err != nil {
					t.Fatal(err)
				}
				var o Outcome
				for o.State == "" || o.State == StillRunning {
					if o, err = action.Poll(t.Context(), task, handle); err != nil {
						t.Fatal(err)
					}
					time.Sleep(o.Again)
				}
				if o.State != tt.state || len(c.probes) < tt.sent[0] || len(c.probes) > tt.sent[1] {
					t.Errorf("%s after %d test requests: %s", o.State, len(c.probes), o.Note)
				}
			})
		})
	}
}

// late is a log in which the requests of the gate before have turned bad.
type late struct{ first, second Requests }

func (l late) Requests(_ context.Context, q Query) (Requests, error) {
	if q.Since.Equal(t0) {
		return l.first, nil
	}
	return l.second, nil
}

func (l late) Lines(context.Context, Service, string, string, time.Time) (Lines, error) {
	return Lines{}, nil
}

// A gate fails when an earlier one of the service, which passed, is a FAIL by the entries that came late; as long as
// it is only not a PASS any more, the later one decides by itself.
func TestAnEarlierGateTurns(t *testing.T) {
	passed, err := JudgeRate(Case{Spec: gateStep(func(*plan.Gate) {}), Since: t0, Requests: steady(5, 30, 4, 0)}, t0.Add(30*time.Second))
	if err != nil || passed.State != Passed {
		t.Fatalf("%s, %v", passed.State, err)
	}
	for name, tt := range map[string]struct {
		errors int64
		state  OutcomeState
	}{"no error": {0, StillRunning}, "a few": {3, StillRunning}, "many": {20, FailedState}} {
		t.Run(name, func(t *testing.T) {
			log := late{first: steady(5, 30, 4, tt.errors), second: Requests{}}
			before := Step{ID: "1.1", Spec: gateStep(func(*plan.Gate) {}), Status: StepPassed, Handle: `{"since":"` + t0.Format(time.RFC3339) + `"}`, Gate: passed.Gate}
			o, err := GateActions(log, nil)[plan.KindErrorRate].Poll(t.Context(), Task{
				Step: gateStep(func(g *plan.Gate) { g.Budget = seconds(100 * 365 * 24 * time.Hour) }), Passed: []Step{before},
				Services: map[string]Service{"backend": {Name: "backend", Candidate: Revision{Name: "backend-s1-1"}}},
			}, `{"since":"2026-11-22T11:00:00Z"}`)
			if err != nil || o.State != tt.state || (o.Label == LabelTurned) != (tt.state == FailedState) {
				t.Errorf("%s [%s] %q, %v", o.State, o.Label, o.Note, err)
			}
		})
	}
}
