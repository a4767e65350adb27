package gcp

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"slipway/plan"
	"slipway/rollout"
)

// jobRun is what a job step asks for, with everything filled in.
type jobRun struct {
	service    rollout.Service // whose project and region
	name, path string
	key        string
	image      string // "": as the job has it
	repository string
	args       []string
	env        map[string]string
	timeout    time.Duration
}

func newJobRun(t rollout.Task) (jobRun, error) {
	spec := t.Step.Job
	s, err := jobService(t, spec.Service)
	if err != nil {
		return jobRun{}, err
	}
	j := jobRun{
		service: s, name: spec.Name, path: parent(s) + "/jobs/" + spec.Name, key: t.Key.String(),
		env: map[string]string{}, timeout: t.Step.Timeout.D(),
	}
	if spec.Image == plan.ImageNew {
		j.image, j.repository = s.Image.Reference(), s.Image.Repository
	}
	return j, j.expand(t, spec)
}

// expand fills in the ${…} of arguments and environment.
func (j *jobRun) expand(t rollout.Task, spec *plan.Job) error {
	fill := func(text string) (string, error) {
		filled, err := t.Expand(text)
		if err != nil {
			return "", &rollout.Failure{Reason: fmt.Sprintf("The job %s cannot run: %s.", j.name, err), Label: "bad_reference", Err: err}
		}
		return filled, nil
	}
	for _, arg := range spec.Args {
		filled, err := fill(arg)
		if err != nil {
			return err
		}
		j.args = append(j.args, filled)
	}
	for name, value := range spec.Env {
		filled, err := fill(value)
		if err != nil {
			return err
		}
		j.env[name] = filled
	}
	return nil
}

// jobService returns the service whose project and region a job is in. A job that names none is in
// those of the environment, which every service without its own has; the first by name stands for it.
func jobService(t rollout.Task, name string) (rollout.Service, error) {
	if name != "" {
		return taskService(t, name)
	}
	for _, first := range slices.Sorted(maps.Keys(t.Services)) {
		return t.Services[first], nil
	}
	return taskService(t, "the job's service")
}

func (j jobRun) request(etag string) *runpb.RunJobRequest {
	env := []*runpb.EnvVar{{Name: keyVariable, Values: &runpb.EnvVar_Value{Value: j.key}}}
	for _, name := range slices.Sorted(maps.Keys(j.env)) {
		env = append(env, &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: j.env[name]}})
	}
	overrides := &runpb.RunJobRequest_Overrides{
		ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{Args: j.args, Env: env}},
	}
	if j.timeout > 0 {
		overrides.Timeout = durationpb.New(j.timeout)
	}
	return &runpb.RunJobRequest{Name: j.path, Etag: etag, Overrides: overrides}
}

func (j jobRun) subject() subject {
	return subject{
		what: "the job " + place(j.service, j.name), project: j.service.Project, role: "roles/run.developer",
		grant: grantJob(j.service, j.name), show: "gcloud run jobs describe " + j.name + at(j.service),
		create: createJob(j.service, j.name),
	}
}

// lines filters what a run wrote, as in https://cloud.google.com/run/docs/logging.
func (j jobRun) lines(execution string) string {
	return fmt.Sprintf(`resource.type="cloud_run_job" resource.labels.job_name=%s resource.labels.location=%s`+
		` labels."run.googleapis.com/execution_name"=%s`, quote(j.name), quote(j.service.Region), quote(short(execution)))
}

// notSet says why a job does not take the image that is rolled out.
func (j jobRun) notSet(why *status.Status) *rollout.Failure {
	switch cause := causeByText(why.Message()); cause {
	case imageMissing:
		return j.noImage(why)
	case imageDenied:
		f := failedStart{service: j.service, opErr: why.Proto()}
		return &rollout.Failure{
			Reason: fmt.Sprintf("The job %s could not be set to the new image: Cloud Run may not pull it. Grant %s roles/artifactregistry.reader on the repository, then retry.", j.name, f.agent()),
			Detail: paragraphs(f.command(imageDenied), why.Message()), Label: string(cause), Err: why.Err(),
		}
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("The job %s could not be set to the new image. What Cloud Run says is under Details; mend it, then retry.", j.name),
		Detail: why.Message(), Label: "job_not_set", Err: why.Err(),
	}
}

func (j jobRun) noImage(why *status.Status) *rollout.Failure {
	image := "its image"
	if j.image != "" {
		image = "the image " + j.image
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("The job %s cannot run: %s is not in the registry. Push it again, or give the job another, then retry.", j.name, image),
		Detail: why.Message(), Label: string(imageMissing), Err: why.Err(),
	}
}
