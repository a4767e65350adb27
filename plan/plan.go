// Package plan says what is to be done: the types of deploy.yaml, loading them with errors that
// point at the line, and their digest. It does nothing itself; rollout executes what stands here.
package plan

import "slices"

// File is a whole deploy.yaml.
type File struct {
	Version      int            `json:"version"`
	Environments []*Environment `json:"environments"`
	Plans        []*Plan        `json:"plans"`
	Identities   []*Identity    `json:"identities,omitempty"`
	// Warnings is what Load found that is allowed, yet likely not meant or not known to whoever wrote it.
	Warnings []Error `json:"-"`

	overlays map[*Step]*approvalOverlay // what approval steps say themselves, for PlanFor
}

// Environment is a place that is deployed to, such as staging: its services, who may do what in it,
// and the plan that a rollout to it runs.
type Environment struct {
	Name    string   `json:"name"`
	Project string   `json:"project"`
	Region  string   `json:"region"`
	Channel string   `json:"channel"` // a channel's name without "#", or its ID
	Lock    LockKind `json:"lock"`
	Plan    string   `json:"plan"`
	// Deployers may start, abort and roll back rollouts. Empty: the owners of the services concerned;
	// if there are none either, everyone who can write in the workspace and is not a guest.
	Deployers    []string     `json:"deployers,omitempty"`
	Services     []*Service   `json:"services"`
	Approval     *Approval    `json:"approval,omitempty"` // nil: approval steps are a mistake
	TrafficAfter TrafficAfter `json:"traffic_after"`
	Alerts       *Alerts      `json:"alerts,omitempty"`
	Production   bool         `json:"production,omitempty"`
	// Hosts are those that http and websocket steps may call besides the services' own addresses:
	// "api.example.com", or "*.example.com" for all below it.
	Hosts []string `json:"hosts,omitempty"`
}

// LockKind says what one rollout keeps others away from.
type LockKind string

const (
	LockEnvironment LockKind = "environment" // one rollout at a time in the environment
	LockService     LockKind = "service"     // services of an environment may roll out side by side
)

// TrafficAfter says how a service is left once a rollout has succeeded.
type TrafficAfter string

const (
	TrafficLatest TrafficAfter = "latest" // 100% follows LATEST again, so that other pipelines keep working
	TrafficPinned TrafficAfter = "pinned" // 100% stays on the revision that was rolled out
)

// Service is one Cloud Run service of an environment. Project, Region, Channel, Plan and Owners
// override the environment's; after loading they are always filled in.
type Service struct {
	Name     string   `json:"name"`      // what people type: backend
	CloudRun string   `json:"cloud_run"` // the Cloud Run service's name: netra-backend-staging
	Image    string   `json:"image"`     // repository without tag or digest
	Tag      string   `json:"tag"`       // what a deploy without WHAT takes
	Owners   []string `json:"owners,omitempty"`
	Project  string   `json:"project,omitempty"`
	Region   string   `json:"region,omitempty"`
	Channel  string   `json:"channel,omitempty"`
	Plan     string   `json:"plan,omitempty"`
	// Alerts are the service's own keys; AlertsOf lays them over the environment's.
	Alerts *Alerts `json:"alerts,omitempty"`
}

// Approval says who must agree, and for how long the question stands.
type Approval struct {
	Required  int      `json:"required"`
	Approvers []string `json:"approvers"` // "@group" or "@user" handles, or Slack IDs
	Self      bool     `json:"self"`      // whether who started the rollout counts
	Expires   Duration `json:"expires"`
}

// Plan is an ordered list of phases and what happens when a step fails.
type Plan struct {
	Name      string    `json:"name"`
	Phases    []*Phase  `json:"phases"`
	OnFailure OnFailure `json:"on_failure"`
	// Watch is how long the verdicts of a rollout that succeeded stay provisional. 0: not at all.
	Watch Duration `json:"watch,omitempty"`
}

// OnFailure says what follows a step's failure.
type OnFailure string

const (
	OnFailureRollback OnFailure = "rollback" // traffic returns to the stable revision by itself, unless that is proven to be the worse one
	// OnFailureInsist is OnFailureRollback also where the stable revision is the worse one.
	OnFailureInsist OnFailure = "rollback_always"
	OnFailurePause  OnFailure = "pause" // everything stays as it is until someone decides
	OnFailureAsk    OnFailure = "ask"   // as pause, and whoever started it is mentioned
)

// Phase is an ordered or parallel group of steps.
type Phase struct {
	Name     string  `json:"name"`
	Parallel bool    `json:"parallel,omitempty"`
	Steps    []*Step `json:"steps"`
}

// Kind names what a step does; it is the step's key in deploy.yaml.
type Kind string

const (
	KindDone           Kind = "done"
	KindManual         Kind = "manual"
	KindCommand        Kind = "command"
	KindJob            Kind = "job"
	KindPermissions    Kind = "permissions"
	KindRollbackTarget Kind = "rollback_target"
	KindApproval       Kind = "approval"
	KindDeploy         Kind = "deploy"
	KindTraffic        Kind = "traffic"
	KindErrorRate      Kind = "error_rate"
	KindLatency        Kind = "latency"
	KindNoLogs         Kind = "no_logs"
	KindHTTP           Kind = "http"
	KindWebSocket      Kind = "websocket"
	KindWait           Kind = "wait"
)

// Step is one check or action. Exactly one of the kind fields is set; Kind names it.
type Step struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`

	Done           string       `json:"done,omitempty"`   // the evidence
	Manual         string       `json:"manual,omitempty"` // what a person has to do and then tick
	Command        *Command     `json:"command,omitempty"`
	Job            *Job         `json:"job,omitempty"`
	Permissions    *ServiceStep `json:"permissions,omitempty"`
	RollbackTarget *ServiceStep `json:"rollback_target,omitempty"`
	Approval       *Approval    `json:"approval,omitempty"` // the environment's, with the step's own keys over it
	Deploy         *ServiceStep `json:"deploy,omitempty"`
	Traffic        *Traffic     `json:"traffic,omitempty"`
	ErrorRate      *ErrorRate   `json:"error_rate,omitempty"`
	Latency        *Latency     `json:"latency,omitempty"`
	NoLogs         *NoLogs      `json:"no_logs,omitempty"`
	HTTP           []HTTP       `json:"http,omitempty"`
	WebSocket      *WebSocket   `json:"websocket,omitempty"`
	Wait           Duration     `json:"wait,omitempty"`

	Timeout      Duration `json:"timeout,omitempty"` // after loading never 0; DefaultTimeout of the kind if left out
	Retries      int      `json:"retries,omitempty"` // further attempts after a failed one
	ReportOnly   bool     `json:"report_only,omitempty"`
	RollbackSafe *bool    `json:"rollback_safe,omitempty"` // nil: true
	Repeatable   *bool    `json:"repeatable,omitempty"`    // nil: true
}

// ServiceStep is the body of a step that needs to know its service only.
type ServiceStep struct {
	Service string `json:"service"`
}

// Command is a program that the bot's own image carries, run without a shell.
type Command struct {
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"` // names of variables passed on
}

// Job runs a Cloud Run job in the team's own image.
type Job struct {
	Name    string            `json:"name"`              // the Cloud Run job's name
	Service string            `json:"service,omitempty"` // whose project, region and new image; after loading never "" when Image is "new"
	Image   string            `json:"image,omitempty"`   // "new": the job is set to the digest being rolled out first
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// ImageNew is the Job.Image that means the digest being rolled out.
const ImageNew = "new"

// Traffic sends a share of a service's requests to the candidate. Four more forms are made by
// rollouts themselves and cannot be written in deploy.yaml: to the stable revision, to LATEST,
// pinned to the candidate with its tag removed, and to a revision that served before.
type Traffic struct {
	Service string    `json:"service"`
	Percent int       `json:"percent"`
	To      TrafficTo `json:"to,omitempty"`
}

// TrafficTo is where Traffic sends its share.
type TrafficTo string

const (
	ToCandidate TrafficTo = ""
	ToStable    TrafficTo = "stable"
	ToLatest    TrafficTo = "latest"
	ToPinned    TrafficTo = "pinned"
	ToRevision  TrafficTo = "revision" // all of it to the candidate, which served before, whatever the service's state
)

// ErrorRate is the gate on the share of 5xx responses of the candidate; see package verdict.
type ErrorRate struct {
	Gate
	Below Percent `json:"below"`
}

// NoLogs is the gate on the absence of log lines of the candidate that contain Match.
type NoLogs struct {
	Service    string   `json:"service"`
	Match      string   `json:"match"`
	MinRate    Percent  `json:"min_rate"` // the rarest fault it must be able to see, as a share of requests
	Alpha      float64  `json:"alpha"`
	MaxLatency Duration `json:"max_latency"`
	Budget     Duration `json:"budget"`

	OnInconclusive OnInconclusive `json:"on_inconclusive,omitempty"` // "": InconclusiveAsks
}

// HTTP is one request of a chain and what its answer must be.
type HTTP struct {
	Name    string            `json:"name,omitempty"`
	Method  string            `json:"method"` // after loading never ""
	URL     string            `json:"url"`
	Headers map[string]Value  `json:"headers,omitempty"`
	JSON    string            `json:"json,omitempty"` // the body, as JSON text, with its ${…} unexpanded
	Body    string            `json:"body,omitempty"`
	Status  int               `json:"status"`            // after loading never 0: 200
	Expect  string            `json:"expect,omitempty"`  // text that the body must contain
	Capture map[string]string `json:"capture,omitempty"` // name → dotted path in the JSON answer; used as ${name} by later requests
}

// WebSocket connects, optionally sends, and waits for a message that contains Expect.
type WebSocket struct {
	URL    string `json:"url"`
	Token  *Value `json:"token,omitempty"` // sent as "Authorization: Bearer …"
	Send   string `json:"send,omitempty"`
	Expect string `json:"expect"`
}

// Value is a literal (with ${…} filled in when the step starts) or the name of an environment
// variable of the bot. The variable's content never enters a snapshot, a log or a message.
type Value struct {
	Literal string `json:"literal,omitempty"`
	Env     string `json:"env,omitempty"`
}

// Environment returns the environment called name, or nil.
func (f *File) Environment(name string) *Environment {
	for _, e := range f.Environments {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Plan returns the plan called name as it is defined, or nil. To run one, use PlanFor: when several
// environments with different approval policies share a plan, nobody can approve its definition.
func (f *File) Plan(name string) *Plan {
	for _, p := range f.Plans {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Service returns the service called name, or nil.
func (e *Environment) Service(name string) *Service {
	for _, s := range e.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// LockTarget is what a rollout to t holds while it runs.
func (e *Environment) LockTarget(t Target) Target {
	if e.Lock == LockService {
		return t
	}
	return Target{Environment: t.Environment}
}

// Service returns the name of the service that the step is about, or "".
func (s *Step) Service() string {
	if name := s.serviceField(); name != nil {
		return *name
	}
	return ""
}

// serviceField returns the field that Service reads, or nil for kinds that have none.
func (s *Step) serviceField() *string {
	switch {
	case s.Job != nil:
		return &s.Job.Service
	case s.Permissions != nil:
		return &s.Permissions.Service
	case s.RollbackTarget != nil:
		return &s.RollbackTarget.Service
	case s.Deploy != nil:
		return &s.Deploy.Service
	case s.Traffic != nil:
		return &s.Traffic.Service
	case s.CountingGate() != nil:
		return &s.CountingGate().Service
	case s.NoLogs != nil:
		return &s.NoLogs.Service
	}
	return nil
}

// DeployersOf lists who may start, stop and decide about rollouts to t: the environment's deployers,
// else the owners of the services concerned. Empty: everyone.
func (e *Environment) DeployersOf(t Target) []string {
	if len(e.Deployers) > 0 {
		return e.Deployers
	}
	var owners []string
	for _, s := range e.Services {
		if t.Service != "" && s.Name != t.Service {
			continue
		}
		for _, o := range s.Owners {
			if !slices.Contains(owners, o) {
				owners = append(owners, o)
			}
		}
	}
	return owners
}
