package plan

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Gate is what the gates that count requests have in common. What is left out gets the defaults of the
// environment that the plan is run in; see PlanFor.
type Gate struct {
	Service    string   `json:"service"`
	AlphaPass  float64  `json:"alpha_pass"`
	AlphaFail  float64  `json:"alpha_fail"`
	WarmUp     Duration `json:"warm_up"`     // requests that started earlier after the shift are not counted
	MinTime    Duration `json:"min_time"`    // no PASS sooner after the shift, warm-up included
	MaxLatency Duration `json:"max_latency"` // D: a window closes so long after its end
	Budget     Duration `json:"budget"`      // undecided for so long since the shift: INCONCLUSIVE

	Evidence       Evidence       `json:"evidence,omitempty"`
	Bucket         Duration       `json:"bucket,omitempty"` // EvidenceBuckets: how long one is
	Compare        Compare        `json:"compare,omitempty"`
	Probes         *Probes        `json:"probes,omitempty"` // nil: none are sent
	Source         Source         `json:"source,omitempty"`
	OnInconclusive OnInconclusive `json:"on_inconclusive,omitempty"`
	Ignore         []string       `json:"ignore,omitempty"` // paths that are not users' requests; one that ends in * is a prefix
	// UsersOnly: test requests alone are no PASS. Production says so; it is no key of deploy.yaml.
	UsersOnly bool `json:"users_only,omitempty"`
}

// Evidence says what a gate takes for independent of each other.
type Evidence string

const (
	EvidenceRequests Evidence = "requests" // each request
	EvidenceBuckets  Evidence = "buckets"  // slices of time, within which errors may come in bursts
)

// Compare says what a gate compares the new revision with, besides its limit.
type Compare string

const (
	CompareNone Compare = "none"
	CompareOld  Compare = "old" // FAIL too when it is proven worse than the old one was before the rollout
)

// Source is where a gate's counts come from.
type Source string

const (
	SourceAuto    Source = "auto"    // logs, unless they are sampled, excluded or too many
	SourceLogs    Source = "logs"    // Cloud Logging
	SourceMetrics Source = "metrics" // Cloud Monitoring, minutes later and by the minute
)

// OnInconclusive says what follows when a gate's budget is spent without a verdict.
type OnInconclusive string

const (
	InconclusiveAsks    OnInconclusive = "ask"
	InconclusiveFails   OnInconclusive = "fail"
	InconclusiveExtends OnInconclusive = "extend" // once, then it asks
	InconclusivePasses  OnInconclusive = "pass"   // which gives up what a PASS means; the card says so
)

// Probes are requests that Slipway itself makes to the new revision while a gate is open, for services with little
// traffic. They are counted apart from users' requests.
type Probes struct {
	Path string  `json:"path"` // on the candidate's own address, such as /health?deep=1
	Rate float64 `json:"rate"` // a second
}

// DefaultProbes are sent when a person asks for test requests at a gate that has none.
func DefaultProbes() *Probes { return &Probes{Path: "/", Rate: 2} }

// maxProbeRate keeps a probe from being a load test.
const maxProbeRate = 10

// Latency is the gate on the share of slow requests of the candidate: Percent of them have to be answered
// within Below. It is the test of an error rate below 100% − Percent, with slow requests for errors.
type Latency struct {
	Gate
	Percent float64  `json:"percent"` // 50–99.99
	Below   Duration `json:"below"`
}

// Limit is the share of slow requests that is too many, as a fraction. Rounded, because 1 − 0.95 is not 0.05
// in floating point.
func (l *Latency) Limit() Percent { return Percent(math.Round((100-l.Percent)*1e6) / 1e8) }

// CountingGate returns what a step that counts requests says about that, or nil for other steps.
func (s *Step) CountingGate() *Gate {
	switch {
	case s.ErrorRate != nil:
		return &s.ErrorRate.Gate
	case s.Latency != nil:
		return &s.Latency.Gate
	}
	return nil
}

// Limit is the share of bad requests that a counting gate's FAIL is above and its PASS below, as a fraction; 0 for
// other steps.
func (s *Step) Limit() Percent {
	switch {
	case s.ErrorRate != nil:
		return s.ErrorRate.Below
	case s.Latency != nil:
		return s.Latency.Limit()
	}
	return 0
}

// withGate copies a step whose gate is changed.
func (s *Step) withGate(change func(*Gate)) *Step {
	changed := *s
	switch {
	case s.ErrorRate != nil:
		gate := *s.ErrorRate
		changed.ErrorRate = &gate
	case s.Latency != nil:
		gate := *s.Latency
		changed.Latency = &gate
	default:
		return s
	}
	change(changed.CountingGate())
	return &changed
}

// WithAlphaFail returns the step with another probability of a wrong FAIL at its gate.
func (s *Step) WithAlphaFail(alpha float64) *Step {
	return s.withGate(func(g *Gate) { g.AlphaFail = alpha })
}

// fill completes a gate for the environment that it is run in. Production has evidence that bursts do not
// deceive, is compared with what served before, and is not passed by test requests alone.
func (g *Gate) fill(production bool) {
	defaults := Gate{Evidence: EvidenceRequests, Compare: CompareNone}
	if production {
		defaults = Gate{Evidence: EvidenceBuckets, Compare: CompareOld}
		g.UsersOnly = true
	}
	g.Evidence = cmp.Or(g.Evidence, defaults.Evidence)
	g.Compare = cmp.Or(g.Compare, defaults.Compare)
}

func newGate() Gate {
	return Gate{
		AlphaPass:  0.05,
		AlphaFail:  0.05,
		WarmUp:     Duration(30 * time.Second),
		MinTime:    Duration(time.Minute),
		MaxLatency: Duration(10 * time.Second),
		Budget:     Duration(30 * time.Minute),
		Bucket:     Duration(10 * time.Second),

		Source: SourceAuto, OnInconclusive: InconclusiveAsks,
	}
}

func (d *decoder) gate(g *Gate) []field {
	return []field{
		{"service", true, d.text(&g.Service)},
		{"alpha_pass", false, d.number(&g.AlphaPass)},
		{"alpha_fail", false, d.number(&g.AlphaFail)},
		{"warm_up", false, d.unit(&g.WarmUp)},
		{"min_time", false, d.unit(&g.MinTime)},
		{"max_latency", false, d.unit(&g.MaxLatency)},
		{"budget", false, d.unit(&g.Budget)},
		{"evidence", false, choice(d, &g.Evidence, EvidenceRequests, EvidenceBuckets)},
		{"bucket", false, d.unit(&g.Bucket)},
		{"compare", false, choice(d, &g.Compare, CompareOld, CompareNone)},
		{"probes", false, func(n ast.Node) { g.Probes = d.probes(n) }},
		{"source", false, choice(d, &g.Source, SourceAuto, SourceLogs, SourceMetrics)},
		{"on_inconclusive", false, d.onInconclusive(&g.OnInconclusive)},
		{"ignore", false, d.texts(&g.Ignore, "paths")},
	}
}

func (d *decoder) onInconclusive(to *OnInconclusive) func(ast.Node) {
	return choice(d, to, InconclusiveAsks, InconclusiveFails, InconclusiveExtends, InconclusivePasses)
}

func (d *decoder) probes(n ast.Node) *Probes {
	p := DefaultProbes()
	d.object(n, "probe", []field{
		{"path", false, d.text(&p.Path)},
		{"rate", false, d.number(&p.Rate)},
	})
	if at := d.at[&p.Rate]; at != nil && !(p.Rate > 0 && p.Rate <= maxProbeRate) {
		d.errorf(at, "Use more than 0 and at most 10; 2 is usual.", "%v test requests a second cannot be sent", p.Rate)
	}
	if at := d.at[&p.Path]; at != nil {
		d.path(at, p.Path)
	}
	return p
}

func (d *decoder) path(at ast.Node, path string) {
	if !strings.HasPrefix(path, "/") {
		d.errorf(at, "Begin it with /, as in /healthz: the address before it is the new revision's.", "%q is not a path", path)
	}
}

func (d *decoder) errorRate(n ast.Node) *ErrorRate {
	g := &ErrorRate{Gate: newGate()}
	d.at[g] = n
	d.object(n, "error_rate", append(d.gate(&g.Gate), field{"below", true, d.unit(&g.Below)}))
	d.checkIgnored(&g.Gate)
	return g
}

func (d *decoder) latency(n ast.Node) *Latency {
	g := &Latency{Gate: newGate(), Percent: 95}
	d.at[g] = n
	d.object(n, "latency", append(d.gate(&g.Gate),
		field{"percent", false, d.number(&g.Percent)},
		field{"below", true, d.unit(&g.Below)}))
	if at := d.at[&g.Percent]; at != nil && !(g.Percent >= 50 && g.Percent <= 99.99) {
		d.errorf(at, "Use 50 to 99.99; 95 is usual.", "a gate cannot ask for %v%% of the requests", g.Percent)
		g.Percent = 95
	}
	if at := d.at[&g.Below]; at != nil && g.Below == 0 {
		d.errorf(at, "Give it a time that requests may take, as in 800ms.", "no request takes no time")
	}
	d.checkIgnored(&g.Gate)
	return g
}

func (d *decoder) checkIgnored(g *Gate) {
	if at := d.at[&g.Ignore]; at != nil {
		for _, path := range g.Ignore {
			d.path(at, path)
		}
	}
}

func (d *decoder) noLogs(n ast.Node) *NoLogs {
	g := &NoLogs{
		MinRate:    0.05,
		Alpha:      0.05,
		MaxLatency: Duration(10 * time.Second),
		Budget:     Duration(30 * time.Minute),

		OnInconclusive: InconclusiveAsks,
	}
	d.at[g] = n
	d.object(n, "no_logs", []field{
		{"service", true, d.text(&g.Service)},
		{"match", true, d.text(&g.Match)},
		{"min_rate", false, d.unit(&g.MinRate)},
		{"alpha", false, d.number(&g.Alpha)},
		{"max_latency", false, d.unit(&g.MaxLatency)},
		{"budget", false, d.unit(&g.Budget)},
		{"on_inconclusive", false, d.onInconclusive(&g.OnInconclusive)},
	})
	return g
}

// This half checks what was read.

// countingGate checks a gate whose limit stands at the node at.
func (v *validator) countingGate(s *Step, g *Gate, body any, at ast.Node, limit Percent) {
	v.limit(at, limit)
	v.alpha(g.AlphaPass, &g.AlphaPass)
	v.alpha(g.AlphaFail, &g.AlphaFail)
	v.budget(s, g.Budget, v.where(&g.Budget, body), max(g.MinTime, g.WarmUp+g.MaxLatency),
		"min_time, or warm_up + max_latency if that is longer")
	if at := v.where(&g.Bucket); at != nil && (g.Bucket < Duration(time.Second) || g.Bucket > Duration(10*time.Minute)) {
		v.errorf(at, "Use 1s to 10m: twice as long as the longest burst of errors; 10s is usual.", "a bucket of %s shows nothing", g.Bucket)
	}
	if at := v.where(&g.OnInconclusive); at != nil && g.OnInconclusive == InconclusivePasses {
		v.warnf(at, "Leave it out, and a person decides.", "without enough requests this gate lets everything through")
	}
	v.cost(at, g, limit)
}

// mixtureCost is what the gate pays, in units of evidence, for not knowing the true rate beforehand:
// with no error at all it needs (ln 1/α + 0.57) / −ln(1−limit) requests; 70 at 5% and α = 0.05.
const mixtureCost = 0.57

// manyRequests is from when on the forecast deserves a word at loading.
const manyRequests = 500

// cost warns of a limit so low that proving it takes very many requests, even with no error, or more buckets
// than the budget has time for. By buckets one that is half as full as it may be brings a factor of
// 1 + limit / (1 − limit) / 2 at most, with no error in it.
func (v *validator) cost(at ast.Node, g *Gate, limit Percent) {
	inBuckets := g.Evidence == EvidenceBuckets || g.Evidence == "" && v.onlyProduction(g)
	if !inBuckets {
		v.evidence(at, limit, g.AlphaPass, mixtureCost, g.Budget)
		return
	}
	if !provable(at, limit, g.AlphaPass) {
		return
	}
	buckets := math.Ceil((math.Log(1/g.AlphaPass) + mixtureCost) / math.Log1p(float64(limit)/(1-float64(limit))/2))
	if takes := Duration(buckets * float64(g.Bucket)); takes+g.WarmUp+g.MaxLatency > g.Budget {
		v.warnf(at, "Raise the budget, or ask for evidence: requests, which bursts of errors can deceive.",
			"%s by buckets of %s takes about %.0f of them without an error (%s), longer than the budget of %s",
			limit, g.Bucket, buckets, Duration(takes.D().Round(time.Minute)), g.Budget)
	}
}

// onlyProduction reports whether every environment that runs the plan of a gate is production.
func (v *validator) onlyProduction(g *Gate) bool {
	runs := 0
	for _, e := range v.file.Environments {
		for _, p := range v.file.Plans {
			has := func(s *Step) bool { return s.CountingGate() == g }
			if !e.runs(p) || !slices.ContainsFunc(p.steps(), has) {
				continue
			}
			if !e.Production {
				return false
			}
			runs++
		}
	}
	return runs > 0
}

func provable(at ast.Node, limit Percent, alpha float64) bool {
	return at != nil && limit > 0 && limit < 1 && alpha > 0 && alpha <= 0.5
}

// evidence warns of a limit so low that proving it takes very many requests, even with no error.
func (v *validator) evidence(at ast.Node, limit Percent, alpha, cost float64, budget Duration) {
	if !provable(at, limit, alpha) {
		return
	}
	needed := math.Ceil((math.Log(1/alpha) + cost) / -math.Log1p(-float64(limit)))
	if needed > manyRequests {
		perSecond := needed / budget.D().Seconds()
		v.warnf(at, "At 1 request a second on the new revision that is "+time.Duration(needed*float64(time.Second)).String()+".",
			"%s needs %.0f requests without an error before it can pass; within the budget of %s that takes %.2g a second", limit, needed, budget, perSecond)
	}
}
