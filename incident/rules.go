package incident

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// Kind is what an incident is about.
type Kind string

const (
	ErrorRate    Kind = "error_rate"     // too many requests fail, found by the detector
	SlowLeak     Kind = "slow_leak"      // the error budget goes too fast, found by burn rates
	Latency      Kind = "latency"        // too many requests are slow, found by the detector
	LogMatches   Kind = "log_matches"    // a pattern appeared in the log of a revision for the first time
	CrashOnStart Kind = "crash_on_start" // containers end with an error, or do not begin to listen

	NoReadyRevision Kind = "no_ready_revision" // Cloud Run has no revision that can serve; Example says why
	Pinned          Kind = "pinned"            // someone else keeps all traffic on Revision; Example says who
)

// rates are the kinds that are judged by shares of requests.
const (
	errorRate = iota
	slowLeak
	latencyRate
	rates
)

func kindOf(rate int) Kind { return [rates]Kind{ErrorRate, SlowLeak, Latency}[rate] }

// Rules say what a service is watched for. The zero Rules watch for nothing.
type Rules struct {
	ErrorRate    plan.Percent  `json:"error_rate,omitempty"`  // limit of the share of 5xx; 0: off
	SLO          plan.Percent  `json:"slo,omitempty"`         // share that has to succeed, for slow leaks; 0: off
	Slow         time.Duration `json:"slow,omitempty"`        // a request that took longer is slow
	SlowRate     plan.Percent  `json:"slow_rate,omitempty"`   // limit of the share of slow ones; 0: off
	LogMatches   []string      `json:"log_matches,omitempty"` // without regard to case, as Cloud Logging compares
	CrashOnStart bool          `json:"crash_on_start,omitempty"`
	// Services is how many are watched beside it: all detectors together raise a false
	// alarm once in 30 days on average. 0 is 1.
	Services int `json:"services,omitempty"`
}

// RulesOf are what deploy.yaml says that entries of a service are watched for.
func RulesOf(a plan.Alerts) Rules {
	r := Rules{ErrorRate: a.ErrorRate, SLO: a.SLO, LogMatches: a.LogMatches, CrashOnStart: a.CrashOnStart}
	if a.Latency != nil {
		// Rounded, because 1 − 0.95 is not 0.05 in floating point.
		r.Slow, r.SlowRate = a.Latency.Below.D(), plan.Percent(math.Round((1-float64(a.Latency.Percent))*1e6)/1e6)
	}
	return r
}

// judges makes what judges the rates. One that is off never sees a request.
func (r Rules) judges() ([rates]judge, error) {
	var made [rates]judge
	slices := float64(verdict.FalseAlarmBuckets) * float64(max(r.Services, 1))
	if r.ErrorRate > 0 && r.SlowRate > 0 {
		slices *= 2
	}
	for rate, of := range [rates]struct{ limit, slices float64 }{
		errorRate: {float64(r.ErrorRate), slices}, slowLeak: {r.leak(), 0}, latencyRate: {float64(r.SlowRate), slices},
	} {
		if of.limit == 0 {
			continue
		}
		var err error
		if made[rate], err = newJudge(of.limit, of.slices); err != nil {
			return made, fmt.Errorf("%s: %w", kindOf(rate), err)
		}
	}
	return made, nil
}

// leak is the share of errors at which the slowest of the burn rates fires; 0: off.
func (r Rules) leak() float64 {
	if r.SLO == 0 {
		return 0
	}
	lowest := slices.MinFunc(verdict.BurnRates(), func(a, b verdict.BurnRate) int { return int(a.Rate*10) - int(b.Rate*10) })
	return lowest.Rate * (1 - float64(r.SLO))
}

// shareOf is what a rate's judge is given of a slice.
func (r Rules) shareOf(rate int, c count) share {
	switch {
	case rate == errorRate && r.ErrorRate > 0, rate == slowLeak && r.SLO > 0:
		return share{c.requests, c.errors}
	case rate == latencyRate && r.SlowRate > 0:
		return share{c.requests, c.slow}
	}
	return share{}
}

// matches are the patterns that a line contains.
func (r Rules) matches(text string) []string {
	if len(r.LogMatches) == 0 || text == "" {
		return nil
	}
	var found []string
	lower := strings.ToLower(text)
	for _, pattern := range r.LogMatches {
		if pattern != "" && strings.Contains(lower, strings.ToLower(pattern)) {
			found = append(found, pattern)
		}
	}
	return found
}
