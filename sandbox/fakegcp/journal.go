package fakegcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const longestJournal = 20000 // calls kept; the oldest go first

// Call is one gRPC call that was received.
type Call struct {
	Time    time.Time       `json:"time"`
	Method  string          `json:"method"`  // "UpdateService"
	Request json.RawMessage `json:"request"` // protojson; values of secret environment variables are left out
	Outcome string          `json:"outcome"` // "OK", or the status and its message
	Fault   string          `json:"fault,omitempty"`
	Summary string          `json:"summary"`
}

// Journal returns every call that was answered, in that order.
func (c *Cloud) Journal() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.journal)
}

// Deny takes permissions from the callers of the API from now on, in place of those taken before.
func (c *Cloud) Deny(permissions ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg.Denied = slices.Clone(permissions)
	c.notify()
}

func (c *Cloud) isDenied(permission string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied(permission)
}

// denied is isDenied for who holds the lock.
func (c *Cloud) denied(permission string) bool { return slices.Contains(c.cfg.Denied, permission) }

// requires names the permission without which a call is refused, as in https://cloud.google.com/run/docs/reference/iam/permissions
// https://cloud.google.com/logging/docs/access-control and https://cloud.google.com/monitoring/access-control.
func requires(method string) string {
	return map[string]string{
		"GetService": "run.services.get", "ListServices": "run.services.list", "UpdateService": "run.services.update",
		"GetRevision": "run.revisions.get", "ListRevisions": "run.revisions.list",
		"GetJob": "run.jobs.get", "ListJobs": "run.jobs.list", "UpdateJob": "run.jobs.update", "RunJob": "run.jobs.run",
		"GetExecution": "run.executions.get", "ListExecutions": "run.executions.list", "CancelExecution": "run.executions.cancel",
		"GetOperation": "run.operations.get", "ListOperations": "run.operations.list", "DeleteOperation": "run.operations.delete",
		"ListLogEntries": "logging.logEntries.list", "TailLogEntries": "logging.logEntries.list",
		"ListTimeSeries": "monitoring.timeSeries.list",
	}[method]
}

func missing(permission string) error {
	return status.Errorf(codes.PermissionDenied, "Permission '%s' denied on resource (or it may not exist).", permission)
}

// canonical is the status code's name as the APIs write it: FAILED_PRECONDITION.
func canonical(code codes.Code) string {
	var out strings.Builder
	for i, r := range code.String() {
		if i > 0 && 'A' <= r && r <= 'Z' && code != codes.OK {
			out.WriteByte('_')
		}
		out.WriteRune(r)
	}
	return strings.ToUpper(out.String())
}

func requestJSON(m proto.Message) json.RawMessage {
	m = withoutSecrets(m)
	text, err := protojson.Marshal(m)
	if err != nil {
		return json.RawMessage(`"request cannot be shown as JSON"`)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil { // protojson varies its white space on purpose
		return text
	}
	return out.Bytes()
}

// withoutSecrets returns a copy in which environment variables that look secret have no value.
func withoutSecrets(m proto.Message) proto.Message {
	m = proto.Clone(m)
	var vars []*runpb.EnvVar
	switch req := m.(type) {
	case *runpb.RunJobRequest:
		for _, o := range req.GetOverrides().GetContainerOverrides() {
			vars = append(vars, o.GetEnv()...)
		}
	case *runpb.UpdateJobRequest:
		vars = envOf(req.GetJob().GetTemplate().GetTemplate().GetContainers())
	case *runpb.UpdateServiceRequest:
		vars = envOf(req.GetService().GetTemplate().GetContainers())
	}
	for _, v := range vars {
		if isSecret(v.GetName()) && v.GetValue() != "" {
			v.Values = &runpb.EnvVar_Value{Value: "(left out)"}
		}
	}
	return m
}

func envOf(containers []*runpb.Container) []*runpb.EnvVar {
	var out []*runpb.EnvVar
	for _, c := range containers {
		out = append(out, c.GetEnv()...)
	}
	return out
}

func isSecret(name string) bool {
	name = strings.ToUpper(name)
	return strings.Contains(name, "TOKEN") || strings.Contains(name, "SECRET") || strings.Contains(name, "PASSWORD")
}

// summary says in one line what a call asks for.
func summary(method string, m proto.Message) string {
	switch req := m.(type) {
	case *runpb.UpdateServiceRequest:
		return updateSummary(req)
	case *runpb.RunJobRequest:
		return "run " + lastPart(req.GetName()) + argsSummary(req.GetOverrides())
	case *runpb.UpdateJobRequest:
		return "set " + lastPart(req.GetJob().GetName()) + imageSummary(req.GetJob().GetTemplate().GetTemplate().GetContainers())
	case *loggingpb.ListLogEntriesRequest:
		return fmt.Sprintf("list %s, page of %d", req.GetFilter(), req.GetPageSize())
	case *loggingpb.TailLogEntriesRequest:
		return fmt.Sprintf("tail %s, buffered for %v", req.GetFilter(), bufferWindow(req))
	case *monitoringpb.ListTimeSeriesRequest:
		return "list " + req.GetFilter()
	case interface{ GetName() string }:
		return method + " " + lastPart(req.GetName())
	case interface{ GetParent() string }:
		return method + " in " + lastPart(req.GetParent())
	case interface{ GetResource() string }:
		return method + " on " + lastPart(req.GetResource())
	}
	return method
}

func updateSummary(req *runpb.UpdateServiceRequest) string {
	out := "set " + lastPart(req.GetService().GetName())
	if req.GetValidateOnly() {
		out = "check " + lastPart(req.GetService().GetName())
	}
	for _, path := range req.GetUpdateMask().GetPaths() {
		out += " " + path
	}
	out += imageSummary(req.GetService().GetTemplate().GetContainers())
	if name := req.GetService().GetTemplate().GetRevision(); name != "" {
		out += ", revision " + name
	}
	for _, target := range req.GetService().GetTraffic() {
		out += ", " + targetSummary(target)
	}
	return out
}

func targetSummary(target *runpb.TrafficTarget) string {
	name := target.GetRevision()
	if target.GetType() == followLatest {
		name = "LATEST"
	}
	if target.GetTag() != "" {
		name += " (" + target.GetTag() + ")"
	}
	return fmt.Sprintf("%d%% to %s", target.GetPercent(), name)
}

func imageSummary(containers []*runpb.Container) string {
	if len(containers) == 0 {
		return ""
	}
	return ", image " + containers[0].GetImage()
}

func argsSummary(o *runpb.RunJobRequest_Overrides) string {
	var out string
	for _, c := range o.GetContainerOverrides() {
		out += " " + strings.Join(c.GetArgs(), " ")
	}
	return out
}
