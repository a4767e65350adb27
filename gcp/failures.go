package gcp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// This file turns the errors of Google's calls into sentences for people. What passes by itself (a
// server that is busy, a deadline) stays a plain error, which the engine repeats.

// subject is what a call was about.
type subject struct {
	what    string // "the service netra-backend-staging in netra-staging, us-central1"
	project string
	role    string // what has to be granted when a permission is missing
	grant   string // the command that grants it
	show    string // the command that shows the thing
	create  string // the command that makes it
}

func serviceSubject(s rollout.Service) subject {
	return subject{
		what: "the service " + place(s, s.CloudRun), project: s.Project,
		role: "roles/run.developer", grant: grantService(s), show: describe(s),
	}
}

func logsSubject(project string) subject {
	return subject{
		what: "the logs of " + project, project: project,
		role: "roles/logging.viewer", grant: grantProject(project, "roles/logging.viewer"),
	}
}

func metricsSubject(project string) subject {
	return subject{
		what: "the metrics of " + project, project: project,
		role: "roles/monitoring.viewer", grant: grantProject(project, "roles/monitoring.viewer"),
	}
}

func place(s rollout.Service, name string) string {
	return fmt.Sprintf("%s in %s, %s", name, s.Project, s.Region)
}

// explain translates the error of a call. The codes are gRPC's, as Google uses them in
// https://cloud.google.com/apis/design/errors.
func explain(err error, s subject) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.NotFound:
		return &rollout.Failure{
			Reason: fmt.Sprintf("There is no %s. Create it, or correct its name in deploy.yaml.", strings.TrimPrefix(s.what, "the ")),
			Detail: s.create, Label: "not_found", Err: err,
		}
	case codes.PermissionDenied:
		return denied(err, s)
	case codes.Unauthenticated:
		return &rollout.Failure{
			Reason: "Slipway has no valid Google credentials. Check the service account that it runs as.",
			Label:  "unauthenticated", Err: err,
		}
	case codes.InvalidArgument, codes.OutOfRange, codes.Unimplemented:
		return &rollout.Failure{
			Reason: fmt.Sprintf("Google Cloud refuses the request about %s; why is under Details. Correct the service's settings, then retry.", s.what),
			Detail: said(err), Label: "refused", Err: err,
		}
	}
	return fmt.Errorf("no answer about %s: %w", s.what, err)
}

// denied names what is missing. Google writes: Permission 'run.services.get' denied on resource …, and
// for the right to act as a service's account: Permission 'iam.serviceaccounts.actAs' denied on service
// account NAME ….
func denied(err error, s subject) error {
	text := said(err)
	missing := "a permission"
	if p := regexp.MustCompile(`[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+`).FindString(text); p != "" {
		missing = p
	}
	on, role, grant := s.what, s.role, s.grant
	if actsAs(text) {
		account := serviceAccount(text)
		on, role, grant = "the account that the service runs as", "roles/iam.serviceAccountUser", grantActAs(s.project, account)
		if account != "" {
			on = account + ", the account that the service runs as"
		}
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("Slipway lacks %s on %s. Grant Slipway's account %s (the command is under Details), then retry.", missing, on, role),
		Detail: grant, Label: "permission_denied", Err: err,
	}
}

// said is what Google itself says in an error.
func said(err error) string {
	var answer interface{ GRPCStatus() *status.Status }
	if errors.As(err, &answer) {
		return answer.GRPCStatus().Message()
	}
	return ""
}

func actsAs(message string) bool { return strings.Contains(strings.ToLower(message), "actas") }

// serviceAccount finds the e-mail address of a service account in a message, or "".
func serviceAccount(message string) string {
	return regexp.MustCompile(`[a-z0-9][-a-z0-9]*@[-a-z0-9.]+\.gserviceaccount\.com`).FindString(message)
}

// asFailure returns the failure in err's chain, or nil when the error passes by itself.
func asFailure(err error) *rollout.Failure {
	var failure *rollout.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return nil
}

// seconds is a duration as people read it: 40 s, 2m10s, 5m.
func seconds(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	if d%time.Minute == 0 {
		return strings.TrimSuffix(d.String(), "0s")
	}
	return d.String()
}
