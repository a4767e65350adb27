package page

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/sandbox/fakegcp"
)

const (
	sampleEvery = time.Second
	rateSpan    = 10 * time.Second // that rates are averaged over
	sparkSpan   = 2 * time.Minute  // that sparklines show
)

// sample is what a revision had answered at a time.
type sample struct {
	at               time.Time
	requests, errors int64
}

// watch samples the cloud until the last of those who watch has called the function returned.
func (p *Page) watch() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers++
	if p.watchers == 1 && !p.closed && p.cfg.Cloud != nil {
		ctx, cancel := context.WithCancel(p.ctx)
		p.unwatch = cancel
		p.work.Go(func() { p.sampleAll(ctx) })
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.watchers--; p.watchers == 0 && p.unwatch != nil {
			p.unwatch()
		}
	}
}

// cloudChanged is closed at the next change of the cloud; without a cloud it never is.
func (p *Page) cloudChanged() <-chan struct{} {
	if p.cfg.Cloud == nil {
		return nil
	}
	return p.cfg.Cloud.Changed()
}

func (p *Page) sampleAll(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		p.sample(p.cfg.Cloud.State(), time.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// sample adds a sample of every revision and forgets those that no sparkline shows any more.
func (p *Page) sample(state fakegcp.State, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range state.Services {
		for _, r := range s.Revisions {
			kept := slices.DeleteFunc(slices.Clone(p.samples[r.Name]), func(s sample) bool { return now.Sub(s.at) > sparkSpan })
			p.samples[r.Name] = append(kept, sample{now, r.Requests, r.Errors})
		}
	}
	p.touch()
}

// rate is what a revision answers now.
type rate struct {
	known  bool
	rps    float64
	errors float64 // share of the requests, 0 to 1
}

// rateOf is the average between the last sample and the one a span before it.
func rateOf(samples []sample, span time.Duration) rate {
	if len(samples) < 2 {
		return rate{}
	}
	last := samples[len(samples)-1]
	from := samples[slices.IndexFunc(samples, func(s sample) bool { return last.at.Sub(s.at) <= span })]
	seconds := last.at.Sub(from.at).Seconds()
	if seconds <= 0 {
		return rate{}
	}
	out := rate{known: true, rps: float64(last.requests-from.requests) / seconds}
	if n := last.requests - from.requests; n > 0 {
		out.errors = float64(last.errors-from.errors) / float64(n)
	}
	return out
}

func (r rate) String() string {
	switch {
	case !r.known:
		return "counting …"
	case r.rps == 0:
		return "no requests"
	}
	return fmt.Sprintf("%s requests/s, %s errors", number(r.rps), percent(r.errors))
}

// number has one decimal below 10 and none above.
func number(v float64) string {
	if v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func percent(share float64) string {
	if share > 0 && share < 0.0995 {
		return strconv.FormatFloat(share*100, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(share*100, 'f', 0, 64) + "%"
}

// service is a Cloud Run service as the panel shows it.
type service struct {
	Name, State string
	Bad         bool
	RPS         string
	Bar         []slice
	Revisions   []revision
	Older       int // revisions that are not shown
}

// slice is a part of the traffic bar.
type slice struct {
	Name, Class string
	Percent     int
	From        int // where it begins, in percent
}

// revision is a revision as the panel shows it.
type revision struct {
	Service, Name, Short, Image string
	State, Class, Failure       string
	Percent                     int
	Rate                        string
	ErrorRate                   string // as set
	ErrorPercent                int    // the same for a slider
	Spark                       spark
}

// mostRevisions are shown of a service without traffic to older ones.
const mostRevisions = 3

func (p *Page) service(s fakegcp.ServiceState) service {
	out := service{Name: s.Name, State: "Serving", RPS: strconv.FormatFloat(s.RPS, 'f', -1, 64)}
	switch {
	case s.Reconciling:
		out.State = "Changing …"
	case s.Condition == "CONDITION_FAILED":
		out.State, out.Bad = s.Message, true
	}
	shares := map[string]int{}
	for _, t := range s.Traffic {
		shares[t.Revision] += t.Percent
	}
	from := 0
	for i, r := range slices.Backward(s.Revisions) {
		if shares[r.Name] == 0 && len(s.Revisions)-i > mostRevisions {
			out.Older++
			continue
		}
		shown := p.revision(s, r, shares[r.Name])
		shown.Class = "rev-" + strconv.Itoa(i%4)
		out.Revisions = append(out.Revisions, shown)
		if shown.Percent > 0 {
			out.Bar = append(out.Bar, slice{Name: shown.Short, Class: shown.Class, Percent: shown.Percent, From: from})
			from += shown.Percent
		}
	}
	return out
}

func (p *Page) revision(s fakegcp.ServiceState, r fakegcp.RevisionState, share int) revision {
	p.mu.Lock()
	samples := p.samples[r.Name]
	p.mu.Unlock()
	out := revision{
		Service: s.Name, Name: r.Name, Short: strings.TrimPrefix(r.Name, s.Name+"-"), Image: shortImage(r.Image), Percent: share,
		Rate: rateOf(samples, rateSpan).String(), ErrorRate: percent(r.ErrorRate), ErrorPercent: int(math.Round(r.ErrorRate * 100)), Spark: sparkOf(samples),
	}
	switch {
	case r.Failure != "":
		out.State, out.Failure = "Failed", r.Failure
	case r.Ready:
		out.State = "Ready"
	default:
		out.State = "Starting …"
	}
	return out
}

// shortImage is the repository's last part with its tag or the digest's first seven digits.
func shortImage(image string) string {
	image = image[strings.LastIndex(image, "/")+1:]
	if name, digest, pinned := strings.Cut(image, "@sha256:"); pinned {
		return name + " @ " + digest[:min(7, len(digest))]
	}
	return image
}

// job is a Cloud Run job and its executions in short.
type job struct{ Name, Runs, Last, Class string }

func jobOf(j fakegcp.JobState) job {
	out := job{Name: j.Name, Runs: strconv.Itoa(len(j.Executions)) + " runs", Last: "not run yet"}
	if len(j.Executions) == 1 {
		out.Runs = "1 run"
	}
	if len(j.Executions) == 0 {
		return out
	}
	switch last := j.Executions[len(j.Executions)-1]; last.Condition {
	case "CONDITION_SUCCEEDED":
		out.Last, out.Class = "the last one succeeded", "good"
	case "CONDITION_FAILED":
		out.Last, out.Class = "the last one failed: "+last.Message, "bad"
	default:
		out.Last = "running"
	}
	return out
}

// paintPanel renders the panel. It is the same for every user.
func (p *Page) paintPanel(pt *painter, pic *picture) {
	if p.cfg.Cloud != nil {
		p.paintCloud(pt, pic)
	}
	pic.html["faults"] = pt.paint("faults", p.troubles())
	p.mu.Lock()
	log := slices.Clone(p.made)
	p.mu.Unlock()
	pic.html["fault-log"] = pt.paint("fault-log", log)
}

func (p *Page) paintCloud(pt *painter, pic *picture) {
	state := p.cfg.Cloud.State()
	pic.lists["services"] = []string{}
	for _, s := range state.Services {
		id := "svc-" + s.Name
		pic.html[id] = pt.paint("service", p.service(s))
		pic.lists["services"] = append(pic.lists["services"], id)
	}
	var jobs []job
	for _, j := range state.Jobs {
		jobs = append(jobs, jobOf(j))
	}
	pic.html["jobs"] = pt.paint("jobs", jobs)
}
