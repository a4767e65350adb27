package verdict

import "time"

// BurnRate is an alert on how fast a service spends its error budget: it fires
// while the error rate is above Rate times the share that may fail, both over the
// long window, which makes it significant, and over the short one, which ends it
// soon after the fault (Google, The Site Reliability Workbook, chapter 5,
// "Multiwindow, Multi-Burn-Rate Alerts"). It finds slow leaks that a Detector
// takes hours for, and bounds no probability.
type BurnRate struct {
	Rate        float64
	Long, Short time.Duration
}

// BurnRates are the two of that chapter which call somebody: 2% of a month's
// budget spent in an hour, and 5% in six.
func BurnRates() []BurnRate {
	return []BurnRate{
		{14.4, time.Hour, 5 * time.Minute},
		{6, 6 * time.Hour, 30 * time.Minute},
	}
}

// Fires judges the counts of the two windows that end now. slo is the share of
// requests that has to succeed: 0.995 for 99.5%. Dropped entries count as
// successes; counts that cannot be, and fewer than 10 requests or 3 errors in the
// long window, never fire.
func (b BurnRate) Fires(long, short Counts, slo float64) bool {
	limit := b.Rate * (1 - slo)
	return enoughToFail(long) && limit > 0 && long.above(limit) && short.above(limit)
}

// above reports whether the observed rate is, in the best case, above limit.
func (c Counts) above(limit float64) bool {
	if !c.usable() {
		return false
	}
	errors, successes := c.best()
	return errors > limit*(errors+successes)
}
