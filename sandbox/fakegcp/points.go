package fakegcp

import (
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/api/distribution"
)

// What Cloud Monitoring knows of a revision: requests by the minute in which they ended and by how they were
// answered. It is counted as requests are answered, whatever becomes of their log entries.

const (
	leastPointLag = 60 * time.Second  // from a minute's end until its points can be read
	mostPointLag  = 180 * time.Second // https://cloud.google.com/monitoring/api/metrics_gcp, run

	latencyClasses = 66 // the last of them, and the first, are open
	latencyGrowth  = 1.4
)

// points are a revision's by the Unix time at which a minute begins, and by status.
type points map[int64]map[int32]*point

// point is the requests of one minute that were answered alike.
type point struct {
	requests int64
	sum      float64 // of latencies, in milliseconds
	squares  float64
	classes  [latencyClasses]int64
}

func (p points) add(end time.Time, req *request) {
	minute := end.Truncate(time.Minute).Unix()
	if p[minute] == nil {
		p[minute] = map[int32]*point{}
	}
	if p[minute][req.status] == nil {
		p[minute][req.status] = &point{}
	}
	p[minute][req.status].add(float64(req.latency) / float64(time.Millisecond))
}

func (p *point) add(ms float64) {
	p.requests++
	p.sum += ms
	p.squares += ms * ms
	p.classes[latencyClass(ms)]++
}

// merge adds the requests of another point.
func (p *point) merge(other *point) {
	p.requests += other.requests
	p.sum += other.sum
	p.squares += other.squares
	for i, n := range other.classes {
		p.classes[i] += n
	}
}

// latencyClass is where a latency belongs: below 1 ms, or [1.4^(i-1), 1.4^i) ms.
func latencyClass(ms float64) int {
	if ms < 1 {
		return 0
	}
	return min(1+int(math.Log(ms)/math.Log(latencyGrowth)), latencyClasses-1)
}

// distribution is the latencies as Cloud Monitoring has them: without what follows the last class that is
// not empty.
func (p *point) distribution() *distribution.Distribution {
	n := float64(p.requests)
	counts := slices.Clone(p.classes[:])
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	return &distribution.Distribution{
		Count: p.requests, Mean: p.sum / n, SumOfSquaredDeviation: max(0, p.squares-p.sum*p.sum/n), BucketCounts: counts,
		BucketOptions: &distribution.Distribution_BucketOptions{Options: &distribution.Distribution_BucketOptions_ExponentialBuckets{
			ExponentialBuckets: &distribution.Distribution_BucketOptions_Exponential{
				NumFiniteBuckets: latencyClasses - 2, GrowthFactor: latencyGrowth, Scale: 1,
			},
		}},
	}
}

// shows says whether a metric's point of a minute can be read at the time given: a while after the minute's
// end, and younger ones now and then before it.
func (r *revision) shows(metric string, minute int64, now time.Time) bool {
	spread := uint64((mostPointLag - leastPointLag) / time.Second)
	lag := leastPointLag + time.Duration(r.service.cloud.hash(fmt.Sprint(r.name, metric, minute))%(spread+1))*time.Second
	return !now.Before(time.Unix(minute, 0).Add(time.Minute + lag))
}

func (c *Cloud) prunePoints(now time.Time) {
	limit := now.Add(-retention).Unix()
	for _, svc := range c.services {
		for _, rev := range svc.revisions {
			for minute := range rev.points {
				if minute < limit {
					delete(rev.points, minute)
				}
			}
		}
	}
}
