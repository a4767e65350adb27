package gcp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// failedStart is all that is known of a revision that did not come up.
type failedStart struct {
	service    rollout.Service
	name       string // of the revision
	account    string // that the service runs as
	conditions []*runpb.Condition
	opErr      *statuspb.Status
	lines      []string // the end of its log
	noLog      string   // why there are no lines, as a safe sentence
}

func (f failedStart) failure() *rollout.Failure {
	why := f.cause()
	failure := &rollout.Failure{
		Reason: fmt.Sprintf("%s did not start: %s No traffic has moved to it.", f.name, f.sentence(why)),
		Detail: paragraphs(f.command(why), message(f.conditions, f.opErr), strings.Join(f.lines, "\n"), f.noLog),
		Label:  string(why),
	}
	if f.opErr != nil {
		failure.Err = status.ErrorProto(f.opErr)
	}
	return failure
}

// cause is why a revision did not come up, as the label of metrics.
type cause string

const (
	notHealthy    cause = "container_unhealthy"
	exited        cause = "container_exited"
	neverListens  cause = "container_never_listened"
	wrongPlatform cause = "wrong_platform"
	imageMissing  cause = "image_missing"
	imageDenied   cause = "image_denied"
	secretDenied  cause = "secret_denied"
	tooSlow       cause = "start_too_slow"
	quota         cause = "quota_exceeded"
	unknownCause  cause = "deploy_failed"
)

// cause is what the conditions say. Where they leave open whether the container exited or never
// listened, the log's end knows.
func (f failedStart) cause() cause {
	why := causeOf(f.conditions, f.opErr.GetMessage())
	if codes.Code(f.opErr.GetCode()) == codes.ResourceExhausted {
		return quota
	}
	if why == notHealthy || why == exited || why == unknownCause {
		return why.byLog(f.lines)
	}
	return why
}

func (c cause) byLog(lines []string) cause {
	log := strings.Join(lines, "\n")
	switch {
	case strings.Contains(log, "exec format error"):
		return wrongPlatform
	case strings.Contains(log, "Container called exit("):
		return exited
	case c == notHealthy && strings.Contains(log, "STARTUP") && strings.Contains(log, "probe failed"):
		return neverListens
	}
	return c
}

// sentence says what happened and what to do about it.
func (f failedStart) sentence(c cause) string {
	text := message(f.conditions, f.opErr)
	switch c {
	case notHealthy:
		if len(f.lines) == 0 {
			return "its container exited, or never listened on its port, and no log tells which (why is under Details). Deploy a version that starts."
		}
		return "its container exited, or never listened on its port. Its log's end is under Details; deploy a version that starts."
	case exited:
		return "its container exited" + after(": ", lastException(f.lines)) + ". Deploy a version that starts."
	case neverListens:
		return "its container ran and never listened on port " + port(text) + ". Make it listen on 0.0.0.0:$PORT, or correct the service's port."
	case wrongPlatform:
		return "its image was not built for linux/amd64. Build it with --platform linux/amd64 and push it again."
	case imageMissing:
		return "its image is not in the registry any more. Push it again, or deploy another."
	case imageDenied:
		return "Cloud Run may not pull its image. Grant " + f.agent() + " roles/artifactregistry.reader on the repository (the command is under Details), then retry."
	case secretDenied:
		return "its account may not read the secret " + secret(text) + ". Grant " + f.reader() + " roles/secretmanager.secretAccessor (the command is under Details), then retry."
	case tooSlow:
		return "it was not ready in the time that Cloud Run gives it. Make it start faster, or give its startup probe more time."
	case quota:
		return "a quota of the project is used up. Free some of it, or ask for more (the page is under Details), then retry."
	}
	return "Cloud Run could not make it ready" + after(": ", strings.TrimRight(firstSentence(text), ".")) + ". What else it says is under Details."
}

// command is what to copy to mend the cause, if a command can.
func (f failedStart) command(c cause) string {
	switch c {
	case imageDenied:
		return grantPull(f.service.Image.Repository, f.agent())
	case secretDenied:
		return grantSecret(f.service.Project, secret(message(f.conditions, f.opErr)), f.reader())
	case quota:
		return quotaPage(f.service.Project)
	}
	return ""
}

// agent is the account that Cloud Run pulls images with
// (https://cloud.google.com/run/docs/deploying#images), named in the message about it.
func (f failedStart) agent() string {
	if found := serviceAccount(message(f.conditions, f.opErr)); found != "" {
		return found
	}
	return "service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com"
}

func (f failedStart) reader() string {
	if f.account != "" {
		return f.account
	}
	if found := serviceAccount(message(f.conditions, f.opErr)); found != "" {
		return found
	}
	return "PROJECT_NUMBER-compute@developer.gserviceaccount.com"
}

// secret finds the name in: Permission denied on secret: projects/1/secrets/NAME/versions/latest ….
func secret(text string) string {
	if found := regexp.MustCompile(`secrets/([A-Za-z0-9_-]+)`).FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return "SECRET"
}

func port(text string) string {
	if found := regexp.MustCompile(`PORT=(\d+)`).FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return "$PORT"
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return cut(first, 200)
}

// lastException is the line of a log that says what went wrong: the end of a traceback or panic, or
// else the last that the program wrote.
func lastException(lines []string) string {
	known := regexp.MustCompile(`^(\w[\w.]*(Error|Exception|NotFound)(:|$)|panic: |fatal error: |Exception in thread |Error: )`)
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); known.MatchString(line) {
			return strings.TrimRight(cut(line, 160), ".")
		}
	}
	return strings.TrimRight(cut(lastWords(lines), 160), ".")
}

// lastWords is the last line that the program itself wrote, as opposed to Cloud Run.
func lastWords(lines []string) string {
	platform := regexp.MustCompile(`^(Container called exit\(|Starting new instance|Default STARTUP |STARTUP |The instance was not started)`)
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" && !platform.MatchString(line) {
			return line
		}
	}
	return ""
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
	case strings.Contains(lower, "exec format error"):
		return wrongPlatform
	case strings.Contains(lower, "exit"):
		return exited
	case strings.Contains(lower, "listen") && !strings.Contains(lower, "start and listen"):
		return neverListens
	}
	return c
}

// causeByText knows causes by words of Cloud Run's messages, written without spaces and underscores.
func causeByText(message string) cause {
	squeezed := strings.NewReplacer("_", "", " ", "").Replace(strings.ToLower(message))
	for _, known := range []struct {
		text  string
		cause cause
	}{
		{"mustsupportamd64/linux", wrongPlatform},
		{"execformaterror", wrongPlatform},
		{"permissiondeniedonsecret", secretDenied},
		{"secretsaccesscheckfailed", secretDenied},
		{"musthavepermissiontoreadtheimage", imageDenied},
		{"containerpermissiondenied", imageDenied},
		{"containermissing", imageMissing},
		{"quotaviolated", quota},
		{"quotaexceeded", quota},
		{"healthcheckcontainererror", notHealthy},
		{"failedtostartandlisten", notHealthy},
		{"progressdeadlineexceeded", tooSlow},
		{"exit(", exited},
	} {
		if strings.Contains(squeezed, known.text) {
			return known.cause.exact(message)
		}
	}
	if regexp.MustCompile(`(?i)image '[^']*' not found`).MatchString(message) {
		return imageMissing
	}
	return unknownCause
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
