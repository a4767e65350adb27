package gcp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// This file turns Google's errors into sentences for people. What passes by itself (a server that is
// busy, a deadline) stays a plain error, which the engine repeats.

// subject is what a call was about.
type subject struct {
	what  string // "netra-backend-staging in netra-staging, us-central1"
	role  string // what has to be granted when a permission is missing
	grant string // the command that grants it; ACCOUNT stands for Slipway's own
}

func serviceSubject(s rollout.Service) subject {
	return subject{what: "the service " + place(s, s.CloudRun), role: "roles/run.developer", grant: grantService(s)}
}

func place(s rollout.Service, name string) string {
	return fmt.Sprintf("%s in %s, %s", name, s.Project, s.Region)
}

func grantService(s rollout.Service) string {
	return fmt.Sprintf("gcloud run services add-iam-policy-binding %s --project=%s --region=%s"+
		" --member=serviceAccount:ACCOUNT --role=roles/run.developer", s.CloudRun, s.Project, s.Region)
}

func grantProject(project, role string) string {
	return fmt.Sprintf("gcloud projects add-iam-policy-binding %s --member=serviceAccount:ACCOUNT --role=%s", project, role)
}

func grantActAs(project, account string) string {
	if account == "" {
		account = "PROJECT_NUMBER-compute@developer.gserviceaccount.com"
	}
	return fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s"+
		" --member=serviceAccount:ACCOUNT --role=roles/iam.serviceAccountUser", account, project)
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
			Label:  "not_found", Err: err,
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
			Reason: fmt.Sprintf("Google Cloud refuses the request about %s.", s.what),
			Detail: status.Convert(err).Message(), Label: "refused", Err: err,
		}
	}
	return fmt.Errorf("no answer about %s: %w", s.what, err)
}

func denied(err error, s subject) error {
	missing := "a permission"
	// Google writes: Permission 'run.services.get' denied on resource …
	permission := regexp.MustCompile(`[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+`)
	if p := permission.FindString(status.Convert(err).Message()); p != "" {
		missing = p
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("Slipway lacks %s on %s. Grant its account %s.", missing, s.what, s.role),
		Detail: s.grant, Label: "permission_denied", Err: err,
	}
}

// asFailure returns the failure in err's chain, or nil when the error passes by itself.
func asFailure(err error) *rollout.Failure {
	var failure *rollout.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return nil
}

// stale reports whether a call was refused because the etag is no longer the service's. Cloud Run
// answers ABORTED or FAILED_PRECONDITION.
func stale(err error) bool {
	code := status.Code(err)
	return code == codes.Aborted || code == codes.FailedPrecondition
}

// changed says that somebody else touched the service.
func changed(s rollout.Service, svc *runpb.Service, what string) *rollout.Failure {
	return &rollout.Failure{
		Reason: fmt.Sprintf("%s was changed by someone else (%s): %s. Look at it, then start again.", s.Name, modifier(svc), what),
		Label:  "changed_meanwhile",
	}
}

// modifier says who changed a service last, and when.
func modifier(svc *runpb.Service) string {
	who := svc.GetLastModifier()
	if who == "" {
		who = "an unknown account"
	}
	if at := svc.GetUpdateTime(); at.IsValid() && at.GetSeconds() != 0 {
		who += ", " + at.AsTime().UTC().Format("15:04:05 UTC")
	}
	return who
}

// cause is why a revision did not come up, as the label of metrics.
type cause string

const (
	notHealthy   cause = "container_unhealthy"
	exited       cause = "container_exited"
	neverListens cause = "container_never_listened"
	imageMissing cause = "image_missing"
	imageDenied  cause = "image_denied"
	secretDenied cause = "secret_denied"
	tooSlow      cause = "start_too_slow"
	unknownCause cause = "deploy_failed"
)

// sentence is the cause for people, and what to do where that is not in the log.
func (c cause) sentence() string {
	switch c {
	case notHealthy:
		return "its container exited, or never listened on its port"
	case exited:
		return "its container exited while it started"
	case neverListens:
		return "its container never listened on its port"
	case imageMissing:
		return "its image is not in the registry any more; push it again"
	case imageDenied:
		return "Cloud Run may not pull its image; grant the service agent roles/artifactregistry.reader"
	case secretDenied:
		return "its service account may not read a secret; grant it roles/secretmanager.secretAccessor"
	case tooSlow:
		return "it did not become ready in the time that Cloud Run gives it"
	}
	return "Cloud Run could not make it ready"
}

// causeOf reads the reason from the conditions of a revision or service, or else from the text of
// the operation's error. Names as in
// https://cloud.google.com/run/docs/reference/rpc/google.cloud.run.v2#condition.
func causeOf(conditions []*runpb.Condition, message string) cause {
	for _, c := range conditions {
		if c.GetState() != runpb.Condition_CONDITION_FAILED {
			continue
		}
		if found, ok := causeByReason(c); ok {
			return found.exact(c.GetMessage())
		}
		message += " " + c.GetMessage()
	}
	return causeByText(message)
}

func causeByReason(c *runpb.Condition) (cause, bool) {
	if c.GetRevisionReason() == runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR {
		return notHealthy, true
	}
	switch c.GetReason() {
	case runpb.Condition_CONTAINER_MISSING:
		return imageMissing, true
	case runpb.Condition_CONTAINER_PERMISSION_DENIED,
		runpb.Condition_CONTAINER_IMAGE_UNAUTHORIZED,
		runpb.Condition_CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED:
		return imageDenied, true
	case runpb.Condition_SECRETS_ACCESS_CHECK_FAILED:
		return secretDenied, true
	case runpb.Condition_PROGRESS_DEADLINE_EXCEEDED:
		return tooSlow, true
	}
	return "", false
}

// exact tells a container that exited from one that never listened, where the text says so. Cloud
// Run's usual sentence names both at once ("failed to start and listen"), and then nobody knows.
func (c cause) exact(message string) cause {
	lower := strings.ToLower(message)
	switch {
	case c != notHealthy:
		return c
	case strings.Contains(lower, "exit"):
		return exited
	case strings.Contains(lower, "listen") && !strings.Contains(lower, "start and listen"):
		return neverListens
	}
	return c
}

func causeByText(message string) cause {
	squeezed := strings.NewReplacer("_", "", " ", "").Replace(strings.ToLower(message))
	for _, known := range []struct {
		text  string
		cause cause
	}{
		{"healthcheckcontainererror", notHealthy},
		{"failedtostartandlisten", notHealthy},
		{"containermissing", imageMissing},
		{"containerpermissiondenied", imageDenied},
		{"secretsaccesscheckfailed", secretDenied},
		{"progressdeadlineexceeded", tooSlow},
		{"exit(", exited},
	} {
		if strings.Contains(squeezed, known.text) {
			return known.cause.exact(message)
		}
	}
	return unknownCause
}

// notReady is the failure of a candidate that did not come up.
func notReady(s rollout.Service, name string, conditions []*runpb.Condition, opErr *statuspb.Status) *rollout.Failure {
	why := causeOf(conditions, opErr.GetMessage())
	failure := &rollout.Failure{
		Reason: fmt.Sprintf("%s did not start: %s. No traffic has moved to it.", name, why.sentence()),
		Detail: message(conditions, opErr),
		Label:  string(why),
	}
	if opErr != nil {
		failure.Err = status.ErrorProto(opErr)
	}
	return failure
}

// message is the longest thing that Cloud Run says about a failure: the shorter ones repeat parts of it.
func message(conditions []*runpb.Condition, opErr *statuspb.Status) string {
	longest := opErr.GetMessage()
	for _, c := range conditions {
		if c.GetState() == runpb.Condition_CONDITION_FAILED && len(c.GetMessage()) > len(longest) {
			longest = c.GetMessage()
		}
	}
	return longest
}

// seconds is a duration as people read it: 40 s, 2m10s.
func seconds(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return d.String()
}
