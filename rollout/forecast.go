package rollout

import (
	"fmt"
	"math"
	"strings"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// Forecast is what a gate that has not begun would take, if requests come as they did before the rollout.
type Forecast struct {
	Step      string  // its name
	Asks      string  // what it decides, in a few words
	Without   string  // what the requests must not have: "an error"
	Share     int     // percent of the traffic that the new revision gets by then
	PerSecond float64 // requests to the service; 0: not known
	Requests  int64   // without an error, until it passes; math.MaxInt64: more than anybody will wait for
	Budget    time.Duration
	Buckets   int64 // where they are the evidence: so many of the length Bucket have to be without an error; else 0
	Bucket    time.Duration

	Least time.Duration // until it passes, at best; 0: not known
	Usual time.Duration // with some errors, as releases have them; 0: not known
	Tests time.Duration // with test requests in the place of users'; 0: they are no way
}

// Forecasts looks ahead to the gates of a rollout, in the order of its plan.
func (r *Rollout) Forecasts() []Forecast {
	percent := map[string]int{}
	var list []Forecast
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if t := s.Spec.Traffic; t != nil && t.To == plan.ToCandidate {
				percent[t.Service] = t.Percent
			}
			service := r.Services[s.Spec.Service()]
			switch share := percent[s.Spec.Service()]; {
			case s.Spec.CountingGate() != nil:
				list = append(list, forecastRate(s.Spec, service, share))
			case s.Spec.NoLogs != nil:
				list = append(list, forecastNoLogs(s.Spec, service, share))
			}
		}
	}
	return list
}

func forecastRate(s plan.Step, service Service, share int) Forecast {
	spec := s.CountingGate()
	service.Percent = share
	c := Case{Spec: s, Service: service, Requests: Requests{Source: service.Source}}
	f := Forecast{
		Step: s.Name, Asks: "limit " + s.Limit().String(), Without: "an error", Share: share,
		PerSecond: service.Baseline.PerSecond(), Requests: math.MaxInt64, Budget: spec.Budget.D(),
	}
	if s.Latency != nil {
		f.Asks, f.Without = fmt.Sprintf("%v%% under %s", s.Latency.Percent, s.Latency.Below), "a slow one"
	}
	reaches := verdict.Traffic{
		PerSecond: f.PerSecond, Share: float64(share) / 100,
		WarmUp: spec.WarmUp.D(), MaxLatency: spec.MaxLatency.D(), MinTime: spec.MinTime.D(),
	}
	if service.Source == FromMetrics {
		c.Requests.Every = metricsSlot
		reaches.MaxLatency = metricsSlot + metricsDelay // the last one is waited for as a whole
	}
	rule := c.rule()
	takes, err := rule.Forecast(usualRate(rule, service.Baseline, s))
	if err != nil || math.IsInf(takes.Clean, 1) {
		return f
	}
	f.Requests = int64(takes.Clean)
	f.Least, f.Usual = within(reaches, takes.Clean), within(reaches, takes.Usual)
	if rule.Evidence == verdict.ByBuckets {
		f.Bucket = time.Duration(rule.BucketSeconds) * time.Second
		f.Buckets = int64(math.Ceil(takes.Clean / max(1, rule.Expect)))
	}
	if !spec.UsersOnly && service.Source != FromMetrics {
		probes := spec.Probes
		if probes == nil {
			probes = plan.DefaultProbes()
		}
		reaches.PerSecond, reaches.Share = probes.Rate, 1
		f.Tests = within(reaches, takes.Clean)
	}
	return f
}

// Cloud Monitoring counts by the minute, and has a minute's count so much later, at most.
const (
	metricsSlot  = time.Minute
	metricsDelay = 3 * time.Minute
)

// within is how long so many requests take; 0: that is not known, or no time that anybody waits.
func within(t verdict.Traffic, requests float64) time.Duration {
	takes, ok := t.Takes(requests)
	if !ok || t.PerSecond <= 0 || takes > 100*time.Hour {
		return 0
	}
	return takes
}

// usualRate is how often the old revision erred; where that is not known, or no example to follow, a fifth of the limit.
func usualRate(rule verdict.Rule, b *Baseline, s plan.Step) float64 {
	if s.ErrorRate != nil && b != nil && b.Requests > 0 && b.Rate() < 0.8*rule.Limit {
		return b.Rate()
	}
	return rule.Limit / 5
}

func forecastNoLogs(s plan.Step, service Service, share int) Forecast {
	spec := s.NoLogs
	f := Forecast{
		Step: s.Name, Asks: "no " + spec.Match, Without: "one", Share: share, PerSecond: service.Baseline.PerSecond(),
		Requests: verdict.AbsenceNeeded(float64(spec.MinRate), spec.Alpha), Budget: spec.Budget.D(),
	}
	f.Least = within(verdict.Traffic{PerSecond: f.PerSecond, Share: float64(share) / 100, MaxLatency: spec.MaxLatency.D()}, float64(f.Requests))
	return f
}

// String is the forecast for people: "Errors at 10% (limit 5%): 70 requests without an error. At 10% of 0.4
// requests/s that takes at least 29 min (usually 50 min). With test requests: 1 min 15 s."
func (f Forecast) String() string {
	head := fmt.Sprintf("%s (%s): ", f.Step, f.Asks)
	if strings.Contains(strings.ToLower(f.Step), strings.ToLower(f.Asks)) { // the name says it
		head = f.Step + ": "
	}
	if f.Requests == math.MaxInt64 {
		return head + "it takes more requests than anybody will wait for."
	}
	if f.Buckets > 0 {
		head += fmt.Sprintf("%s times %s without %s", Count(f.Buckets), Period(f.Bucket), f.Without)
	} else {
		head += Count(f.Requests) + " requests without " + f.Without
	}
	of := PerSecond(f.PerSecond)
	if f.Share < 100 {
		of = fmt.Sprintf("%d%% of %s", f.Share, of)
	}
	switch {
	case f.Share == 0:
		return head + ", but no step before it gives the new revision traffic, so it would fail."
	case f.PerSecond == 0:
		return head + "; how long that takes is unknown, as no requests were seen." + f.tests()
	case f.Least == 0:
		return head + ". At " + of + " that takes days: longer than its budget of " + Period(f.Budget) + ", so it would end undecided." + f.tests()
	case f.Least > f.Budget:
		return head + fmt.Sprintf(". At %s that takes at least %s: longer than its budget of %s, so it would end undecided.%s", of, Rough(f.Least), Period(f.Budget), f.tests())
	}
	text := head + fmt.Sprintf(". At %s that takes at least %s", of, Rough(f.Least))
	if f.Usual > f.Least+f.Least/10 {
		text += " (usually " + Rough(f.Usual) + ")"
	}
	return text + "." + f.tests()
}

// tests is worth saying where users' requests take much longer.
func (f Forecast) tests() string {
	if f.Tests == 0 || f.Least > 0 && f.Least < 2*f.Tests {
		return ""
	}
	return " With test requests: " + Rough(f.Tests) + "."
}

// Rough is a duration as finely as a forecast deserves.
func Rough(d time.Duration) string {
	step := 5 * time.Second
	if d > 10*time.Minute {
		step = time.Minute
	}
	return Period(max(step, d.Round(step)))
}
