package rollout

import (
	"fmt"
	"math"
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
	if service.Source == FromMetrics {
		c.Requests.Every = time.Minute
	}
	f := Forecast{Step: s.Name, Asks: "limit " + s.Limit().String(), Without: "an error", Share: share, PerSecond: service.Baseline.PerSecond(), Requests: math.MaxInt64, Budget: spec.Budget.D()}
	if s.Latency != nil {
		f.Asks, f.Without = fmt.Sprintf("%v%% under %s", s.Latency.Percent, s.Latency.Below), "a slow one"
	}
	rule := c.rule()
	found, err := rule.Judge(nil)
	if err != nil || found.Needed == math.MaxInt64 {
		return f
	}
	f.Requests = found.Needed
	around := func(counting time.Duration) time.Duration {
		closing := spec.MaxLatency.D()
		if service.Source == FromMetrics {
			closing = metricsDelay
		}
		return max(spec.MinTime.D(), spec.WarmUp.D()+counting+closing)
	}
	onNew := f.PerSecond * float64(share) / 100
	f.Least = takes(float64(f.Requests), onNew, around)
	if usual := usually(rule, service.Baseline, s); usual > f.Requests {
		f.Usual = takes(float64(usual), onNew, around)
	}
	if rule.Evidence == verdict.ByBuckets {
		f.Least = max(f.Least, around(time.Duration(found.NeededBuckets*rule.BucketSeconds)*time.Second))
		f.Usual, f.Buckets, f.Bucket = 0, found.NeededBuckets, time.Duration(rule.BucketSeconds)*time.Second
	}
	if !spec.UsersOnly && service.Source != FromMetrics {
		probes := spec.Probes
		if probes == nil {
			probes = plan.DefaultProbes()
		}
		f.Tests = takes(float64(f.Requests), probes.Rate, around)
	}
	return f
}

// metricsDelay is how much later than the requests Cloud Monitoring has their counts, at most.
const metricsDelay = 3 * time.Minute

// takes is how long so many requests take; 0: that is not known, or no time that anybody waits.
func takes(requests, perSecond float64, around func(time.Duration) time.Duration) time.Duration {
	seconds := requests / perSecond
	if perSecond <= 0 || seconds > (100*time.Hour).Seconds() {
		return 0
	}
	return around(time.Duration(seconds * float64(time.Second)))
}

// usually is the mean number of requests if the new revision errs as the old one did; where that one's rate is not
// known or no example to follow, a fifth of the limit is taken.
func usually(rule verdict.Rule, b *Baseline, s plan.Step) int64 {
	gate, err := verdict.NewGate(rule.Limit, rule.AlphaPass, rule.AlphaFail)
	if err != nil {
		return 0
	}
	rate := rule.Limit / 5
	if s.ErrorRate != nil && b != nil && b.Requests > 0 && b.Rate() < 0.8*rule.Limit {
		rate = b.Rate()
	}
	return int64(math.Ceil(gate.Expected(rate)))
}

func forecastNoLogs(s plan.Step, service Service, share int) Forecast {
	spec := s.NoLogs
	f := Forecast{
		Step: s.Name, Asks: "no " + spec.Match, Without: "one", Share: share, PerSecond: service.Baseline.PerSecond(),
		Requests: verdict.AbsenceNeeded(float64(spec.MinRate), spec.Alpha), Budget: spec.Budget.D(),
	}
	f.Least = takes(float64(f.Requests), f.PerSecond*float64(share)/100, func(counting time.Duration) time.Duration {
		return counting + spec.MaxLatency.D()
	})
	return f
}

// String is the forecast for people: "Errors at 10% (limit 5%): 70 requests without an error. At 10% of 0.4
// requests/s that takes at least 29 min (usually 50 min). With test requests: 1 min 15 s."
func (f Forecast) String() string {
	head := fmt.Sprintf("%s (%s): ", f.Step, f.Asks)
	if f.Requests == math.MaxInt64 {
		return head + "it takes more requests than anybody will wait for."
	}
	if f.Buckets > 0 {
		head += fmt.Sprintf("%s times %s without %s", Count(f.Buckets), Period(f.Bucket), f.Without)
	} else {
		head += Count(f.Requests) + " requests without " + f.Without
	}
	of := fmt.Sprintf("%d%% of %s requests/s", f.Share, Trimmed(f.PerSecond, 1))
	if f.Share == 100 {
		of = Trimmed(f.PerSecond, 1) + " requests/s"
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
