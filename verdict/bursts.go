package verdict

import "math"

// Requests that come in a burst succeed and fail together, so that ten of them are
// not the evidence of ten. Here a bucket of requests is one piece of evidence. For
// a bucket of n requests with s errors and the limit L:
//
//	E_b = 1 + λ·(s − L·n)/D,   λ = (q−L)/(L·(1−L)) for a bet on the rate q
//
// and the evidence is the mean over the q of a Gate's grids of the product over
// the buckets. D ≥ n is fixed before the bucket is seen (see pace), so that a
// bucket weighs as its requests do: the mean of the buckets' own rates would let
// one quiet second outweigh a storm.
//
// Whatever the requests of a bucket have to do with one another, (s − L·n)/D has a
// mean at or above 0 given the past while the rate is at or above L, and E_b one
// of at most 1 where λ < 0; as ln(1+λx) is concave, the same holds for the product
// while the average of the rates so far is, weighted by requests/D. So it is an
// e-process, and Ville's inequality gives the guarantee of a Gate (Waudby-Smith
// and Ramdas arXiv 2010.09686: betting on the mean of bounded variables). A
// bucket must be longer than a burst: twice as long as the longest.

// bets are how much of a gain each of the alternatives stakes.
type bets [gridPoints]float64

// passBets are 1−g for the shares g = q/L. In them E_b is 1 + (1−g)·gain, with the
// gain of passGain, which is the same expression.
func passBets() bets {
	var b bets
	for i := range b {
		b[i] = -math.Expm1(logShareAt(i))
	}
	return b
}

// passGain is what a bucket wins for each unit staked on a rate below the limit
// with these odds L/(1−L): (odds·successes − errors)/D. With the errors and
// successes as they are it never falls as the limit rises.
func passGain(odds, errors, successes, weight float64) float64 {
	return (odds*successes - errors) / weight
}

// failBets are λ = (r−1)/(1+(r−1)·L) for the odds ratios r.
func failBets(limit float64) bets {
	var b bets
	for i := range b {
		above := math.Expm1(logRatioAt(i))
		b[i] = above / (1 + above*limit)
	}
	return b
}

// failGain is (s − L·n)/D.
func failGain(limit, errors, successes, weight float64) float64 {
	return ((1-limit)*errors - limit*successes) / weight
}

// process is an e-process over buckets: what each alternative has made of its
// stake, which is e^log times product.
type process struct {
	bets     bets
	logs     [gridPoints]float64
	products [gridPoints]float64 // of the factors that were added last
	added    int                 // since the products were folded into the logs
}

// foldEvery is how many factors are multiplied before a logarithm is taken, which
// costs as much as all of them. A factor is from 1/361 to 1 + the odds of the limit
// (see invert: at most e^40), so that so many stay far inside a float64.
const foldEvery = 8

func (p *process) add(gain float64) {
	if p.added == 0 {
		for i := range p.products {
			p.products[i] = 1
		}
	}
	for i, stake := range p.bets {
		p.products[i] *= 1 + stake*gain
	}
	if p.added++; p.added == foldEvery {
		p.fold()
	}
}

func (p *process) fold() {
	if p.added == 0 {
		return
	}
	for i, product := range p.products {
		p.logs[i] += math.Log(product)
	}
	p.added = 0
}

func (p *process) log() float64 {
	p.fold()
	return logMean(&p.logs)
}

// after is the logarithm once so many more buckets have won the same gain.
func (p *process) after(buckets int64, gain float64) float64 {
	p.fold()
	terms := p.logs
	for i, stake := range p.bets {
		terms[i] += float64(buckets) * math.Log1p(stake*gain)
	}
	return logMean(&terms)
}

// paceMemory is over how many buckets, about, the pace looks back: 5 minutes of
// 10 s each.
const paceMemory = 30

// pace is the recent mean of requests a bucket, from which the weight of the next
// is fixed. It learns from buckets with requests only. The zero pace knows nothing.
type pace struct {
	Mean float64 `json:"mean"`
	Seen int     `json:"seen"` // up to paceMemory
}

// expecting is the pace where so many requests a bucket are expected beforehand.
func expecting(mean float64) pace {
	if mean <= 0 {
		return pace{}
	}
	return pace{Mean: mean, Seen: 1}
}

// weigh returns D for a bucket with so many requests, dropped ones included: some
// times the mean, or as many as there are.
func (p *pace) weigh(times, requests float64) float64 { return max(times*p.Mean, requests) }

func (p *pace) learn(requests int64) {
	if requests <= 0 {
		return
	}
	p.Seen = min(p.Seen+1, paceMemory)
	p.Mean += (float64(requests) - p.Mean) / float64(p.Seen)
}

// gateWeight is how many times the pace a gate's bucket weighs: few have more
// requests than that, and those that have count for more.
const gateWeight = 2

// burstGate is a Gate over buckets.
type burstGate struct {
	limit, odds        float64
	passNeeds, failing float64
	expect             float64
}

// newBurstGate takes over limit and alphas of a gate made by NewGate.
func newBurstGate(g *Gate, expect float64) burstGate {
	return burstGate{g.Limit, g.Limit / (1 - g.Limit), g.passNeeds, g.failing, expect}
}

// passing is the process against "rate ≥ the limit with these odds".
func (g *burstGate) passing(odds float64, buckets []Bucket) process {
	p, at := process{bets: passBets()}, expecting(g.expect)
	for _, b := range buckets {
		if errors, successes := b.counts().worst(); errors+successes > 0 {
			p.add(passGain(odds, errors, successes, at.weigh(gateWeight, errors+successes)))
		}
		at.learn(b.Requests)
	}
	return p
}

// failingAt is the process against "rate ≤ limit".
func (g *burstGate) failingAt(limit float64, buckets []Bucket) process {
	p, at := process{bets: failBets(limit)}, expecting(g.expect)
	for _, b := range buckets {
		if errors, successes := b.counts().best(); errors+successes > 0 {
			p.add(failGain(limit, errors, successes, at.weigh(gateWeight, errors+successes)))
		}
		at.learn(b.Requests)
	}
	return p
}

// atMost is as Gate.AtMost: the limit at which these buckets would just pass. Each
// factor 1 + (1−g)·(odds·successes − errors)/D grows with the limit's odds, as
// neither g nor D depends on the limit; so the mean of their products does, and
// there is one root. It is above the observed rate, weighted as the buckets are:
// there the gains add up to 0, and by the concavity of the logarithm no product is
// above 1.
func (g *burstGate) atMost(buckets []Bucket, passed bool) float64 {
	var errors, successes float64
	at := expecting(g.expect)
	for _, b := range buckets {
		e, s := b.counts().worst()
		if e+s > 0 {
			weight := at.weigh(gateWeight, e+s)
			errors, successes = errors+e/weight, successes+s/weight
		}
		at.learn(b.Requests)
	}
	if successes == 0 {
		return 1
	}
	return invert(g.limit, passed, lowestLogit(errors, successes), func(odds float64) bool {
		p := g.passing(odds, buckets)
		return p.log() >= g.passNeeds
	})
}

// needed is how many further buckets with this error rate would make p pass, each
// with half of its weight in requests as when they come steadily: 0 when it does
// already, math.MaxInt64 when they are more than a million.
func (g *burstGate) needed(p *process, rate float64) int64 {
	gain := passGain(g.odds, rate, 1-rate, gateWeight)
	return leastEnough(func(more int64) bool { return p.after(more, gain) >= g.passNeeds })
}
