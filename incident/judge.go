package incident

import (
	"time"

	"slipway/verdict"
)

// Evidence is what is known of a fault, in requests or, for kinds that are about lines
// and containers, in those.
type Evidence struct {
	Since    time.Time `json:"since"`              // when it began, as far as can be told
	Until    time.Time `json:"until,omitzero"`     // when it ended, or was still seen last; known the better the later
	Requests int64     `json:"requests,omitempty"` // that started between the two
	Errors   int64     `json:"errors"`             // of those; lines or ends of containers of other kinds
	Peak     float64   `json:"peak,omitempty"`     // the worst minute's share of errors, 0–1
}

// Rate is the share of errors, 0–1.
func (e Evidence) Rate() float64 {
	if e.Requests == 0 {
		return 0
	}
	return float64(e.Errors) / float64(e.Requests)
}

// Worst is the worst minute, or all of it where no minute had enough requests to tell.
func (e Evidence) Worst() float64 { return max(e.Peak, e.Rate()) }

const (
	minute       = 6  // slices, over which a peak is taken
	enoughToPeak = 10 // requests in it, so that the one of a quiet night is no peak of 100%
)

// judge says of one rate whether it is above its limit: a detector or burn rates raise
// the alarm, a resolver ends it. It is a value, so that slices can be judged again when
// late entries came; what it says follows from the slices alone.
type judge struct {
	Limit    float64          `json:"limit"`
	Detector verdict.Detector `json:"detector"`
	Resolver verdict.Resolver `json:"resolver"`
	Alarm    bool             `json:"alarm,omitempty"`
	Evidence Evidence         `json:"evidence"` // of the alarm, or of what may become one
	Was      Evidence         `json:"was"`      // of the last alarm that is over
	Excess   float64          `json:"excess"`   // CUSUM of errors above the limit since Evidence.Since
	Highest  float64          `json:"highest"`  // that Excess was
	Clean    share            `json:"clean"`    // since Evidence.Until, which belongs to the fault only if it goes on
	Last     [minute]share    `json:"last"`     // the slices before
	Told     [mostTold]span   `json:"told"`     // the last alarms that are over
}

// span is from one slice up to before another.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// mostTold are as many alarms as six hours usually hold at the very most.
const mostTold = 8

func (s span) holds(slice int64) bool { return s.From <= slice && slice < s.To }

// share is a slice's requests and errors.
type share struct {
	Requests int64 `json:"n"`
	Errors   int64 `json:"s"`
}

// newJudge judges by a detector with one false alarm in so many slices; 0: by burn rates
// alone.
func newJudge(limit, slices float64) (judge, error) {
	j := judge{Limit: limit}
	var err error
	if slices > 0 {
		if j.Detector, err = verdict.NewDetector(limit, slices); err != nil {
			return judge{}, err
		}
	}
	j.Resolver, err = verdict.NewResolver(limit)
	return j, err
}

// stretch judges slices that are so many times as long as those before.
func (j *judge) stretch(times float64) {
	j.Detector.Stretch(times)
	j.Resolver.Stretch(times)
}

// add judges the next slice; burning is what burn rates say at its end. armed is the
// judge as newJudge made it, which an alarm that is over goes back to.
func (j *judge) add(armed *judge, at int64, s share, burning bool) {
	if s.Requests == 0 && !burning {
		return
	}
	j.onset(at, s)
	j.weigh(at, s)
	b := verdict.Bucket{Requests: s.Requests, Errors: s.Errors}
	if j.Alarm {
		if j.Resolver.Add(b); j.Resolver.Resolved() && !burning {
			j.Alarm, j.Detector, j.Resolver = false, armed.Detector, armed.Resolver
			j.Was, j.Excess = j.Evidence, 0
			copy(j.Told[:], j.Told[1:])
			j.Told[mostTold-1] = span{slice(j.Was.Since), at}
		}
		return
	}
	if j.Detector.Add(b); j.Detector.Alarm() || burning {
		j.Alarm = true
	}
}

// onset begins the evidence anew while no alarm is raised and there are no more errors
// than the limit allows: the last time that the cumulative sum of errors above it was 0
// is the likeliest beginning, and the time when it was highest the likeliest end (Page,
// "Continuous Inspection Schemes", Biometrika 41, 1954).
func (j *judge) onset(at int64, s share) {
	if j.Excess == 0 && !j.Alarm {
		j.Evidence = Evidence{Since: began(at)}
		j.Clean, j.Last, j.Highest = share{}, [minute]share{}, 0
	}
	j.Excess = max(0, j.Excess+float64(s.Errors)-j.Limit*float64(s.Requests))
}

// weigh adds a slice to the evidence.
func (j *judge) weigh(at int64, s share) {
	e := &j.Evidence
	j.Clean.Requests += s.Requests
	j.Clean.Errors += s.Errors
	if j.Excess > j.Highest { // else one error of a quiet slice long after it would be its end
		j.Highest = j.Excess
		e.Until = began(at + 1)
		e.Requests += j.Clean.Requests
		e.Errors += j.Clean.Errors
		j.Clean = share{}
	}
	copy(j.Last[:], j.Last[1:])
	j.Last[minute-1] = s
	var sum share
	for _, l := range j.Last {
		sum.Requests += l.Requests
		sum.Errors += l.Errors
	}
	if j.Last[0].Requests > 0 && sum.Requests >= enoughToPeak {
		e.Peak = max(e.Peak, float64(sum.Errors)/float64(sum.Requests))
	}
}
