package verdict

import (
	"encoding/json"
	"fmt"
	"math"
)

// FalseAlarmBuckets is how many buckets of 10 s are in 30 days: the mean time to
// a false alarm of a Detector that watches one service alone. One of k services
// gets k times as many, so that all of them together keep to one in 30 days.
const FalseAlarmBuckets = 259_200

// resolvesAt is the mean M at which a Resolver is done: on average it is wrong
// once in 360 buckets, an hour of 10 s each, while the rate is at the limit still.
const resolvesAt = 360

// detectorWeight is how many times the pace a detector's bucket weighs: one with
// half of the usual requests is as good as any, and only quieter ones count for less.
// With a gate's weight an alarm would take a quarter longer.
const detectorWeight = 0.5

// changepoint is an e-detector of Shiryaev–Roberts' form over buckets. With the
// factors E_b of bursts.go, one for each bet:
//
//	M ← (1 + M)·E_b,   and it is decided when the mean of the M is at or above needs
//
// While the null holds each M grows by at most 1 a bucket on average, so that the
// mean time to a wrong decision is at least needs buckets, and a wrong one within
// n buckets has a probability of at most n/needs. That the past counts for little
// is what sets it apart from a gate: it asks whether the rate has changed, at
// whatever time. Source: Shin, Ramdas and Rinaldo, arXiv 2203.03532.
type changepoint struct {
	limit, needs float64
	pace         pace
	bets         bets
	logs         [gridPoints]float64 // ln(1+M): 0 at the start, and always finite
}

// factor multiplies each M by 1 plus its stake of the gain.
func (c *changepoint) factor(gain float64) {
	for i, stake := range c.bets {
		grown := c.logs[i] + math.Log1p(stake*gain)
		c.logs[i] = max(grown, 0) + math.Log1p(math.Exp(-math.Abs(grown)))
	}
}

// log is the logarithm of the mean of the M, minus infinity before the first bucket.
func (c *changepoint) log() float64 {
	var terms [gridPoints]float64
	for i, l := range c.logs {
		terms[i] = l + math.Log(-math.Expm1(-l))
	}
	return logMean(&terms)
}

func (c *changepoint) stretch(times float64) {
	if times > 0 {
		c.needs /= times
	}
}

func (c *changepoint) decided() bool {
	needs := math.Log(c.needs)
	for _, l := range c.logs {
		if l >= needs { // else no M is that large, and neither is their mean
			return c.needs > 0 && c.log() >= needs
		}
	}
	return false
}

// Detector raises the alarm when the error rate of a service has risen above a
// limit. Make one with NewDetector or NewWatch; any other never alarms. It is a
// value: a copy goes on by itself. As JSON it keeps all that it knows. It is not
// safe for concurrent use.
type Detector struct{ c changepoint }

// NewDetector returns a detector whose mean time to a false alarm is at least so
// many buckets, at any rate at or below limit (a fraction): FalseAlarmBuckets
// times the number of services.
func NewDetector(limit, buckets float64) (Detector, error) {
	if !isFraction(limit) {
		return Detector{}, fmt.Errorf("error rate limit %v: must be above 0 and below 1, for example 0.05 for 5%%", limit)
	}
	if !(buckets > 1) || math.IsInf(buckets, 1) {
		return Detector{}, fmt.Errorf("one false alarm in %v buckets: must be more than 1", buckets)
	}
	return Detector{changepoint{limit: limit, needs: buckets, bets: failBets(limit)}}, nil
}

// NewWatch returns a detector for a watch that ends after so many buckets: it
// alarms falsely with a probability of at most alpha. 30 minutes of 10 s are 180.
func NewWatch(limit float64, buckets int64, alpha float64) (Detector, error) {
	if !isFraction(alpha) {
		return Detector{}, fmt.Errorf("error probability %v: must be above 0 and below 1, for example 0.05", alpha)
	}
	return NewDetector(limit, float64(buckets)/alpha)
}

// Add weighs the next bucket. A bucket without requests, or that cannot be, adds
// nothing; dropped entries count as successes, and an unknown number of them
// makes the bucket no evidence.
func (d *Detector) Add(b Bucket) {
	if c := b.counts(); c.usable() {
		if errors, successes := c.best(); errors+successes > 0 && d.c.needs > 0 {
			d.c.factor(failGain(d.c.limit, errors, successes, d.c.pace.weigh(detectorWeight, errors+successes)))
		}
		d.c.pace.learn(b.Requests)
	}
}

// Stretch makes the detector one for buckets that are so many times as long as those before: as many days are
// between two false alarms as there were.
func (d *Detector) Stretch(times float64) { d.c.stretch(times) }

// Alarm reports whether the buckets so far raise the alarm.
func (d *Detector) Alarm() bool { return d.c.decided() }

// Resolver finds that an error rate has come back below a limit, whatever it was
// before: about as soon after an outage of hours as after one of a minute. Make
// one with NewResolver when the alarm is raised; any other never resolves. Like a
// Detector it is a value, and keeps all that it knows as JSON.
type Resolver struct{ c changepoint }

// NewResolver returns a resolver for a limit (a fraction).
func NewResolver(limit float64) (Resolver, error) {
	if !isFraction(limit) {
		return Resolver{}, fmt.Errorf("error rate limit %v: must be above 0 and below 1, for example 0.05 for 5%%", limit)
	}
	return Resolver{changepoint{limit: limit, needs: resolvesAt, bets: passBets()}}, nil
}

// Add weighs the next bucket, as Detector.Add does but for dropped entries, which
// count as errors.
func (r *Resolver) Add(b Bucket) {
	if c := b.counts(); c.usable() {
		if errors, successes := c.worst(); errors+successes > 0 && r.c.needs > 0 {
			r.c.factor(passGain(r.c.limit/(1-r.c.limit), errors, successes, r.c.pace.weigh(detectorWeight, errors+successes)))
		}
		r.c.pace.learn(b.Requests)
	}
}

// Stretch makes the resolver one for buckets that are so many times as long as those before.
func (r *Resolver) Stretch(times float64) { r.c.stretch(times) }

// Resolved reports whether the buckets so far show that the rate is below the limit.
func (r *Resolver) Resolved() bool { return r.c.decided() }

// changepointJSON is what is kept of a changepoint.
type changepointJSON struct {
	Limit float64             `json:"limit"`
	Needs float64             `json:"needs"`
	Pace  pace                `json:"pace"`
	Logs  [gridPoints]float64 `json:"logs"`
}

func (c *changepoint) json() ([]byte, error) {
	return json.Marshal(changepointJSON{c.limit, c.needs, c.pace, c.logs})
}

// read checks what could make a detector blind or wild; an error leaves c as it was.
func (c *changepoint) read(data []byte, bets func(limit float64) bets) error {
	var kept changepointJSON
	if err := json.Unmarshal(data, &kept); err != nil {
		return err
	}
	if kept.Needs == 0 { // the zero value
		*c = changepoint{}
		return nil
	}
	if !isFraction(kept.Limit) || !(kept.Needs > 1) || kept.Pace.Mean < 0 || kept.Pace.Seen < 0 || kept.Pace.Seen > paceMemory {
		return fmt.Errorf("a detector with limit %v, needs %v and pace %+v cannot be", kept.Limit, kept.Needs, kept.Pace)
	}
	for _, l := range kept.Logs {
		if l < 0 {
			return fmt.Errorf("a detector with the logarithm %v cannot be: must be 0 or more", l)
		}
	}
	*c = changepoint{kept.Limit, kept.Needs, kept.Pace, bets(kept.Limit), kept.Logs}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Detector) MarshalJSON() ([]byte, error) { return d.c.json() }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Detector) UnmarshalJSON(data []byte) error { return d.c.read(data, failBets) }

// MarshalJSON implements json.Marshaler.
func (r Resolver) MarshalJSON() ([]byte, error) { return r.c.json() }

// UnmarshalJSON implements json.Unmarshaler.
func (r *Resolver) UnmarshalJSON(data []byte) error {
	return r.c.read(data, func(float64) bets { return passBets() })
}
