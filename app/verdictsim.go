package app

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// What is simulated: releases that get a request every 5 s on average and are looked at for half an
// hour. Other tools' rules take the first 5 minutes of it, but for the one that goes on looking.
const (
	simulated     = 5_000 // releases at each true rate
	simPerSecond  = 0.2
	simSeconds    = 1800.0
	simLimit      = 0.05
	minute        = 60.0
	peekingZ      = 1.645 // one-sided, 5%
	peekingLeast  = 30
	mostSimulated = 700 // requests in half an hour: 360 on average, and 18 standard deviations
)

// simulatedRates are shares of a limit of 5%: 0%, 0.1%, 1%, 3%, 4.5%, 5%, 5.5%, 7%, 10%, 20%, 72%.
func simulatedRates() []float64 {
	return []float64{0, 0.001, 0.01, 0.03, 0.045, 0.05, 0.055, 0.07, 0.10, 0.20, 0.72}
}

// simRequest is one request of a simulated release.
type simRequest struct {
	at     float64 // seconds
	failed bool
}

// judging is a rule that makes a verdict of a release.
type judging struct {
	name  string
	judge func(release []simRequest, limit float64) verdict.Verdict
}

// simulate prints how often each rule is wrong at each rate. The same seed gives the same table.
func simulate(stdout io.Writer, rule verdict.Rule, seed uint64) error {
	rule.Limit = cmp.Or(rule.Limit, simLimit)
	gate, err := verdict.NewGate(rule.Limit, rule.AlphaPass, rule.AlphaFail)
	if err != nil {
		return err
	}
	rules := []judging{
		{"Slipway", boundariesOf(&gate).judge},
		{"5 min average", average},
		{"5 single minutes", singleMinutes},
		{"test, peeked at", peeking},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "How often the verdict is wrong at a limit of %s, of %s releases at each true error rate.\n"+
		"A request every 5 s; seed %d. In brackets: no verdict after half an hour, so people are asked.\n\n",
		plan.Percent(rule.Limit), rollout.Count(simulated), seed)
	fmt.Fprintf(&b, "%-6s  %-6s", "rate", "wrong")
	for _, r := range rules {
		fmt.Fprintf(&b, "  %18s", r.name)
	}
	b.WriteByte('\n')
	for i, rate := range simulatedRates() {
		wrong := verdict.Pass
		if rate < rule.Limit {
			wrong = verdict.Fail
		}
		fmt.Fprintf(&b, "%-6s  %-6s", plan.Percent(rate), strings.ToUpper(string(wrong)))
		for _, t := range tallies(rules, rand.New(rand.NewPCG(seed, uint64(i))), rate, rule.Limit, wrong) {
			fmt.Fprintf(&b, "  %18s", t.text())
		}
		b.WriteByte('\n')
	}
	b.WriteString(simulationNotes)
	_, err = io.WriteString(stdout, b.String())
	return err
}

const simulationNotes = `
5 min average: the errors of the first 5 minutes, divided by the requests.
5 single minutes: each of five minutes has to be below the limit.
test, peeked at: a significance test (z, one-sided 5%), looked at after each request.
`

// tally is what a rule came to.
type tally struct{ wrong, undecided int }

func (t tally) text() string {
	text := fmt.Sprintf("%.1f%%", 100*float64(t.wrong)/simulated)
	if t.undecided > 0 {
		text += fmt.Sprintf(" (%.1f%%)", 100*float64(t.undecided)/simulated)
	}
	return text
}

// tallies gives every rule the same releases.
func tallies(rules []judging, r *rand.Rand, rate, limit float64, wrong verdict.Verdict) []tally {
	all := make([]tally, len(rules))
	var release []simRequest
	for range simulated {
		release = release[:0]
		for at := r.ExpFloat64() / simPerSecond; at < simSeconds && len(release) < mostSimulated; at += r.ExpFloat64() / simPerSecond {
			release = append(release, simRequest{at, r.Float64() < rate})
		}
		for i, rule := range rules {
			switch rule.judge(release, limit) {
			case wrong:
				all[i].wrong++
			case verdict.Inconclusive:
				all[i].undecided++
			}
		}
	}
	return all
}

// boundaries are a gate's verdicts for each number of requests: PASS up to some errors (−1: none), FAIL
// from some on.
type boundaries struct{ passUpTo, failFrom []int }

func boundariesOf(gate *verdict.Gate) boundaries {
	var b boundaries
	at := func(n, s int) verdict.Verdict {
		return gate.Judge(verdict.Counts{Requests: int64(n), Errors: int64(s)}).Verdict
	}
	for n, pass, fail := 0, -1, 1; n <= mostSimulated; n++ {
		for pass < n && at(n, pass+1) == verdict.Pass {
			pass++
		}
		fail = max(1, fail-1) // one lower where a guard of FAIL has ended
		for fail <= n && at(n, fail) != verdict.Fail {
			fail++
		}
		b.passUpTo, b.failFrom = append(b.passUpTo, pass), append(b.failFrom, fail)
	}
	return b
}

// judge looks after each request.
func (b boundaries) judge(release []simRequest, _ float64) verdict.Verdict {
	errors := 0
	for i, r := range release {
		if r.failed {
			errors++
		}
		if errors <= b.passUpTo[i+1] {
			return verdict.Pass
		}
		if errors >= b.failFrom[i+1] {
			return verdict.Fail
		}
	}
	return verdict.Inconclusive
}

// average is the rate of the first 5 minutes.
func average(release []simRequest, limit float64) verdict.Verdict {
	return below(release, 0, 5*minute, limit)
}

// singleMinutes is the shape of Flagger's analysis: so many intervals, each below the threshold.
func singleMinutes(release []simRequest, limit float64) verdict.Verdict {
	for i := range 5 {
		if below(release, float64(i)*minute, float64(i+1)*minute, limit) == verdict.Fail {
			return verdict.Fail
		}
	}
	return verdict.Pass
}

// below is PASS when the rate of a window is below the limit, also without any request.
func below(release []simRequest, from, to, limit float64) verdict.Verdict {
	requests, errors := 0, 0
	for _, r := range release {
		if r.at >= to {
			break
		}
		if r.at >= from {
			requests++
			if r.failed {
				errors++
			}
		}
	}
	if requests == 0 || float64(errors) < limit*float64(requests) {
		return verdict.Pass
	}
	return verdict.Fail
}

// peeking looks at a z-test after each request from the 30th on, until it says something.
func peeking(release []simRequest, limit float64) verdict.Verdict {
	errors := 0
	for i, r := range release {
		if r.failed {
			errors++
		}
		n := float64(i + 1)
		if i+1 < peekingLeast {
			continue
		}
		z := (float64(errors) - limit*n) / math.Sqrt(limit*(1-limit)*n)
		if z <= -peekingZ {
			return verdict.Pass
		}
		if z >= peekingZ {
			return verdict.Fail
		}
	}
	return verdict.Inconclusive
}
