package incident

import (
	"context"
	"errors"
	"time"

	"slipway/plan"
)

// Service is a service that is watched between rollouts.
type Service struct {
	Target   plan.Target
	Project  string
	Region   string
	CloudRun string
	Alerts   plan.Alerts // as plan.Environment.AlertsOf has them
}

// LogSource reads what Cloud Logging has of the services of one project.
type LogSource interface {
	// Entries delivers what was received in [from, to), in the order in which it was.
	Entries(ctx context.Context, project string, services []Service, from, to time.Time, each func(*Entry)) error
	// Tail delivers what is received from the call on, in the order in which it comes, until ctx ends or the
	// session breaks off, and returns why. suppressed is told how many entries were left out, and by which limit
	// in a word or two. Neither is called once Tail has returned.
	Tail(ctx context.Context, project string, services []Service, each func(*Entry), suppressed func(n int64, why string)) error
}

// Metrics counts the requests of a service by Cloud Monitoring.
type Metrics interface {
	// Minutes counts from the first whole minute at or after from, ascending, with a Minute for each revision
	// that had requests. until is how far it is complete, three to five minutes ago.
	Minutes(ctx context.Context, s Service, from time.Time) (m []Minute, until time.Time, err error)
}

// Minute is the requests of a revision that ended in [At, At + 1 min).
type Minute struct {
	At       time.Time `json:"at"`
	Revision string    `json:"revision,omitempty"`
	Requests int64     `json:"n"`
	Errors   int64     `json:"s"`
	Slow     int64     `json:"slow,omitempty"` // took longer than Alerts.Latency allows
}

// Cloud tells how a service stands.
type Cloud interface {
	Standing(ctx context.Context, s Service) (Standing, error)
}

// Standing is what Cloud Run says of a service.
type Standing struct {
	Serving string // the revision with the most traffic; "": none
	Back    string // the revision that traffic can go back to; "": there is none, or it is back already
	// NotReady says in a sentence why no revision can serve; "": one can.
	NotReady string
	// Pinned is the revision on which someone else than Slipway keeps all traffic, although a newer one is
	// ready; "": it follows the latest revision, or a rollout has pinned it.
	Pinned   string
	PinnedBy string    // the account that changed the service last
	PinnedAt time.Time // when
}

// Rollouts tells what rollouts have to do with it.
type Rollouts interface {
	// Verifying returns the revisions that rollouts are about to judge: their gates have not failed, nobody
	// holds them.
	Verifying(ctx context.Context) ([]Verification, error)
	// Origin finds the rollout that brought a revision.
	Origin(ctx context.Context, t plan.Target, revision string) (Origin, bool, error)
}

// Verification is a revision that a rollout is judging.
type Verification struct {
	Target   plan.Target
	Revision string
	Since    time.Time // when it got its first traffic
}

// Origin is the rollout that brought a revision.
type Origin struct {
	Rollout string
	By      Person
	At      time.Time // when it ended, or began if it has not
	Ended   bool
	Channel string // where its card is, with TS; "": not known
	TS      string
}

// Store is what replicas share. An error other than those named means that it cannot be reached: the watch
// goes on from memory.
type Store interface {
	Shifts
	Books
	Counts
}

// Shifts say who has the watch over a project.
type Shifts interface {
	// Hold gives owner the watch for ttl, or prolongs it. held is false while another has it.
	Hold(ctx context.Context, project, owner string, ttl time.Duration) (held bool, err error)
	// Yield gives the watch up, if owner has it.
	Yield(ctx context.Context, project, owner string) error
}

// Books keep the incidents of projects.
type Books interface {
	// Book returns a project's book; version 0: there is none yet.
	Book(ctx context.Context, project string) (b Book, version int64, err error)
	// SaveBook replaces the book whose version is given, 0: the one that is not there, and returns the new
	// version. ErrConflict: someone else changed it first. With an owner, who has to have the watch: ErrFenced.
	SaveBook(ctx context.Context, project, owner string, b Book, version int64) (int64, error)
}

// Counts keep what whoever has the watch has counted, as JSON.
type Counts interface {
	// Watches returns it; nil: nothing yet.
	Watches(ctx context.Context, project string) ([]byte, error)
	// SaveWatches replaces it; ErrFenced: owner does not have the watch.
	SaveWatches(ctx context.Context, project, owner string, watches []byte) error
}

// Errors of a Store.
var (
	ErrConflict = errors.New("the incidents were changed by someone else")
	ErrFenced   = errors.New("another replica has the watch")
)

// Teller tells people of incidents, in Slack.
type Teller interface {
	// Tell brings the message of c up to date, posting it first if there is none, and says c.News in its thread;
	// the news of SayFiring is the message itself, if that is new. m is what is posted so far. Before a post, and
	// after each change, keep stores what is posted by then; Tell goes on only if that succeeds, so that whoever
	// is called next with what was kept can look in the channel before it posts again. If c.Thread is in doubt, what
	// is there twice is taken away, and the message shown anew.
	//
	// again is when to call at the latest even if nothing is new: the message may not be edited yet, or lacks its
	// graph; 0: the message shows c. With an error the news were not all told.
	Tell(ctx context.Context, c Case, m Message, keep func(Message) error) (again time.Duration, err error)
}

// Case is an incident as people see it: one message, of one fault or of several that came together.
type Case struct {
	Thread    Thread
	Incidents []Incident // those of the thread, the first that fired in front
	News      []News     // what its thread has to say, oldest first
	About     map[plan.Target]About
	// Alone says that the store is away, so that another replica may tell of this too.
	Alone bool
	Now   time.Time
}

// News is something due to be said of one of a Case's incidents.
type News struct {
	Incident string // its ID
	Saying   Saying
	Key      string // names the news, the same in each try
}

// About is what is told of a service beside its incidents.
type About struct {
	Service  Service
	Minutes  []Minute // the last hour, oldest first, all revisions together
	Standing Standing
	Origin   *Origin // the rollout that brought the revision which fails; nil: no rollout is known to
	Source   string  // where numbers come from, if not the log, as a sentence
}

// Notifier tells others than the channel.
type Notifier interface {
	// Notify tells one of them, once, within ctx. An error may be passing: it is tried again.
	Notify(ctx context.Context, to plan.Notify, n Notice) error
}

// Notice is what others are told. Who gets one twice can tell by ID; those of one Key are about one thing.
type Notice struct {
	ID       string // KEY/STATUS/when, the same in each try
	Key      string
	Status   Status
	At       time.Time
	Summary  string   // the headline
	Source   string   // staging/backend
	Class    string   // the first incident's Kind
	Group    string   // the environment
	By       string   // who acknowledged or resolved it; "": nobody
	Details  []string // what is new, and the groups of errors, masked
	Link     string   // to the message; "": none is posted yet
	Revision string
}

// Status is what others know of a Case.
type Status string

// The statuses.
const (
	Triggered  Status = "triggered"
	Taken      Status = "acknowledged"
	Recovered  Status = "resolved"
	NotTouched Status = "" // they were told nothing yet
)
