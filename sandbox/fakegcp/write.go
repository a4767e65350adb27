package fakegcp

import "time"

// write stores a log entry, as the faults of the method "Log" have it, and hands it to who tails the log. The
// caller holds the lock.
func (c *Cloud) write(r *record) {
	met := c.disturb(r)
	if met != FaultLost {
		c.store(r)
	}
	if met != FaultDuplicate {
		return
	}
	twin := *r
	twin.insert = r.id
	twin.received = r.received + int64(lag(c.trouble))
	c.store(&twin)
}

func (c *Cloud) store(r *record) {
	c.logs.add(r)
	for session := range c.tails {
		session.offer(r)
	}
}

// disturb changes a record as a fault says, and returns the fault's kind; "" without one.
func (c *Cloud) disturb(r *record) (kind string) {
	f := c.take(logMethod, false, r)
	if f == nil {
		return ""
	}
	switch f.Kind {
	case FaultLate:
		r.received += int64(f.draw(c.trouble))
	case FaultSkew:
		r.at += int64(f.Seconds * float64(time.Second))
	}
	return f.Kind
}
