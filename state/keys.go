package state

// keys names everything that Slipway keeps in Redis. All names share one hash tag, so that a script
// may touch any of them on a cluster too; the value is that tag.
//
// Per rollout: a hash with its snapshot, version, schema, lock fence and lease; a sorted set of its
// events by Seq; a hash with its card. Over all: the rollouts that are active, due (by the time) and
// leased (by the lease's end), the locks of an environment by place, the index of those keys, its
// history, the line for its targets, the index of those, a hash for each turn in one and the outbox of
// turns, the outbox of stale cards, the inbox, the last fence, the budgets that replicas share, and
// the channel on which wakes are published. Per project of Google Cloud: who has the watch over it, a
// hash with the book of its incidents, and what was counted.
type keys string

const slipway keys = "{slipway}:"

func (k keys) rollout(id string) string { return k.rollouts() + id }
func (k keys) rollouts() string         { return string(k) + "rollout:" }
func (k keys) events(id string) string  { return string(k) + "events:" + id }
func (k keys) card(id string) string    { return k.cardPrefix() + id }
func (k keys) cardPrefix() string       { return string(k) + "card:" }
func (k keys) token(t string) string    { return string(k) + "token:" + t }

func (k keys) locks(environment string) string   { return string(k) + "locks:" + environment }
func (k keys) history(environment string) string { return string(k) + "history:" + environment }

func (k keys) locked() string { return string(k) + "locked" }
func (k keys) active() string { return string(k) + "active" }
func (k keys) due() string    { return string(k) + "due" }
func (k keys) leases() string { return string(k) + "leases" }
func (k keys) fence() string  { return string(k) + "fence" }
func (k keys) outbox() string { return string(k) + "outbox" }
func (k keys) wakes() string  { return string(k) + "wakes" }

func (k keys) line(environment string) string { return string(k) + "line:" + environment }
func (k keys) lines() string                  { return string(k) + "lines" }
func (k keys) turns() string                  { return string(k) + "turns" }
func (k keys) turn() string                   { return string(k) + "turn:" }

func (k keys) watch(project string) string   { return string(k) + "watch:" + project }
func (k keys) book(project string) string    { return string(k) + "book:" + project }
func (k keys) watches(project string) string { return string(k) + "watches:" + project }

func (k keys) budget(name string) string { return string(k) + "budget:" + name }

func (k keys) inboxSeen(id string) string { return string(k) + "inbox:seen:" + id }
func (k keys) inboxWaiting() string       { return string(k) + "inbox:waiting" }
func (k keys) inboxTaken() string         { return string(k) + "inbox:taken" }
func (k keys) inboxBodies() string        { return string(k) + "inbox:bodies" }
func (k keys) inboxOwners() string        { return string(k) + "inbox:owners" }
