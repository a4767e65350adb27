package gcp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// servicePermissions are those that IAM can be asked about on a service. What belongs to other
// resources (revisions, logs, the runtime's account) is tried out instead.
func servicePermissions() []string { return []string{"run.services.get", "run.services.update"} }

// checkPermissions finds out, before anything is changed, whether Slipway may do what a rollout of
// the service needs: by asking IAM, by reading what it will read, and by an update that is only
// validated, which is where Cloud Run checks the right to act as the service's account.
func (c *Cloud) checkPermissions(ctx context.Context, t rollout.Task) (rollout.Outcome, error) {
	s, err := taskService(t, t.Step.Permissions.Service)
	if err != nil {
		return rollout.Outcome{}, err
	}
	var m missing
	for _, look := range []func(context.Context, rollout.Service, *missing) error{
		c.askIAM, c.tryRevision, c.tryLogs,
	} {
		if err := look(ctx, s, &m); err != nil {
			return rollout.Outcome{}, err
		}
	}
	if len(m.permissions) == 0 {
		if err := c.tryUpdate(ctx, s, t.Key, &m); err != nil {
			return rollout.Outcome{}, err
		}
	}
	return m.outcome(s), nil
}

// missing collects permissions and the commands that grant them.
type missing struct {
	permissions, grants []string
}

func (m *missing) add(permission, grant string) {
	m.permissions = append(m.permissions, permission)
	if !slices.Contains(m.grants, grant) {
		m.grants = append(m.grants, grant)
	}
}

func (m *missing) outcome(s rollout.Service) rollout.Outcome {
	if len(m.permissions) == 0 {
		return rollout.Outcome{State: rollout.Passed, Note: "Slipway may read, update and act for " + s.CloudRun + "."}
	}
	return rollout.Outcome{
		State:  rollout.FailedState,
		Note:   fmt.Sprintf("Slipway lacks %s for %s. Run what is under Details (ACCOUNT is its service account), then retry.", strings.Join(m.permissions, ", "), s.CloudRun),
		Detail: strings.Join(m.grants, "\n"),
		Label:  "permission_denied",
	}
}

func (c *Cloud) askIAM(ctx context.Context, s rollout.Service, m *missing) error {
	wanted := servicePermissions()
	answer, err := call(ctx, c.services.TestIamPermissions, &iampb.TestIamPermissionsRequest{
		Resource: servicePath(s), Permissions: wanted,
	})
	if err != nil {
		return explain(err, serviceSubject(s))
	}
	for _, p := range wanted {
		if !slices.Contains(answer.GetPermissions(), p) {
			m.add(p, grantService(s))
		}
	}
	return nil
}

func (c *Cloud) tryRevision(ctx context.Context, s rollout.Service, m *missing) error {
	_, err := c.revision(ctx, s, s.Stable.Name)
	switch status.Code(err) {
	case codes.PermissionDenied:
		m.add("run.revisions.get", grantService(s))
		return nil
	case codes.NotFound: // another check's business
		return nil
	}
	return explain(err, serviceSubject(s))
}

func (c *Cloud) tryLogs(ctx context.Context, s rollout.Service, m *missing) error {
	err := c.list(ctx, s.Project, requestLines(s, s.Stable.Name), "timestamp desc", 1, func(*loggingpb.LogEntry) {})
	if failure := asFailure(err); failure != nil && failure.Label == "permission_denied" {
		m.add("logging.logEntries.list", failure.Detail)
		return nil
	}
	return err
}

// tryUpdate validates the update that the deploy step will make. The revision gets no name, so that
// a name that is taken cannot spoil the answer.
func (c *Cloud) tryUpdate(ctx context.Context, s rollout.Service, key rollout.Key, m *missing) error {
	svc, err := c.service(ctx, s)
	if err != nil {
		return err
	}
	request := candidateRequest(svc, s, key)
	request.ValidateOnly = true
	request.Service.Etag = svc.GetEtag()
	request.Service.Template.Revision = ""
	request.Service.Traffic = svc.GetTraffic()
	_, err = call(ctx, c.services.UpdateService, request)
	switch code := status.Code(err); {
	case code == codes.PermissionDenied && strings.Contains(strings.ToLower(err.Error()), "actas"):
		m.add("iam.serviceAccounts.actAs", grantActAs(s.Project, cmp.Or(serviceAccount(said(err)), svc.GetTemplate().GetServiceAccount())))
		return nil
	case code == codes.PermissionDenied:
		return denied(err, serviceSubject(s))
	case stale(err):
		return fmt.Errorf("%s changes while it is checked: %w", s.Name, err)
	}
	return explain(err, serviceSubject(s))
}
