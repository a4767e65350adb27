package workspace

import (
	_ "embed" // the plans of scenarios
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/plan"
	"slipway/sandbox/fakegcp"
)

// Scenario is what the services of the plan file are like before a rollout, and what the image is
// like that is rolled out.
type Scenario struct {
	Name  string
	About string // one sentence
	RPS   float64
	Old   fakegcp.Behavior
	New   fakegcp.Behavior
	// Denied are the permissions that the account of the app lacks.
	Denied []string
	// Faults are there from the beginning on, also for what happened before the rollout.
	Faults []fakegcp.Fault
	// TailRate is how many entries a minute a session that follows the log gets, as fakegcp.Config has it.
	TailRate int
	// Plan is the plan file that the scenario is played with; "": whichever the user gives.
	Plan string
	// NewServes says that the new image is what serves, over the old one, from the beginning on, and since Took before.
	NewServes bool
	Took      time.Duration
	// Alerts says that services are watched while nobody deploys, as the plan file wants it. The scenarios that
	// are about rollouts leave it out: most of them begin with a fault that would be an incident.
	Alerts bool
}

// moduleNotFound is how a backend fails whose code imports what its image does not have.
const moduleNotFound = "ModuleNotFoundError: No module named 'auth_service'"

//go:embed plans/migration.yaml
var migrationPlan string

//go:embed plans/incident.yaml
var incidentPlan string

//go:embed plans/one-gate.yaml
var oneGatePlan string

// quick are the times of a gate that somebody watches: it passes after 20 s at the earliest.
const quick = "warm_up: 5s, min_time: 20s, max_latency: 5s"

// oneGate is a plan with one gate on errors, at a share of the traffic in percent. Its verdict is provisional for
// some minutes.
func oneGate(percent int, gate string) string {
	return strings.NewReplacer("PERCENT", strconv.Itoa(percent), "GATE", gate, "WATCH", "5m").Replace(oneGatePlan)
}

// Load returns the plan file that the scenario is played with: its own, or else the one at path.
func (s Scenario) Load(path string) (*plan.File, error) {
	file, err := s.load(path)
	if err != nil || s.Alerts {
		return file, err
	}
	for _, e := range file.Environments {
		e.Alerts = nil
		for _, service := range e.Services {
			service.Alerts = nil
		}
	}
	return file, nil
}

func (s Scenario) load(path string) (*plan.File, error) {
	if s.Plan != "" {
		return plan.Load(s.Name+".yaml", []byte(s.Plan))
	}
	return plan.LoadFile(path)
}

// FindScenario returns the scenario with the name.
func FindScenario(name string) (Scenario, error) {
	var names []string
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q; there are: %s", name, strings.Join(names, ", "))
}

// OldTag is the tag of the image that serves before a rollout.
const OldTag = "before"

// populate puts the services, images and jobs of the plan file into the cloud.
func populate(c *fakegcp.Cloud, f *plan.File, s Scenario) error {
	for _, e := range f.Environments {
		for _, service := range e.Services {
			if err := addService(c, service, s); err != nil {
				return err
			}
		}
		if err := addJobs(c, f, e); err != nil {
			return err
		}
	}
	return nil
}

func addService(c *fakegcp.Cloud, service *plan.Service, s Scenario) error {
	if _, err := c.AddImage(service.Image+":"+OldTag, s.Old); err != nil {
		return err
	}
	if _, err := c.AddImage(service.Image+":"+service.Tag, s.New); err != nil {
		return err
	}
	spec := fakegcp.ServiceSpec{Name: service.CloudRun, Image: service.Image + ":" + OldTag, RPS: s.RPS}
	if s.NewServes {
		spec.Revisions = []fakegcp.RevisionSpec{{Name: service.CloudRun + "-00041-abc", Image: spec.Image}}
		spec.Revision, spec.Image, spec.Took = service.CloudRun+"-00042-def", service.Image+":"+service.Tag, s.Took
	}
	return c.AddService(spec)
}

// addJobs adds the jobs that the environment's plans run, in the image of the service they are about.
func addJobs(c *fakegcp.Cloud, f *plan.File, e *plan.Environment) error {
	var added []string
	for _, p := range f.Plans {
		for _, phase := range p.Phases {
			for _, step := range phase.Steps {
				if step.Job == nil || slices.Contains(added, step.Job.Name) {
					continue
				}
				service := e.Services[0]
				if named := e.Service(step.Job.Service); named != nil {
					service = named
				}
				if err := c.AddJob(fakegcp.JobSpec{Name: step.Job.Name, Image: service.Image + ":" + OldTag}); err != nil {
					return err
				}
				added = append(added, step.Job.Name)
			}
		}
	}
	return nil
}

// The fake cloud is one project in one region with one registry: deploy.yaml's first.

func project(f *plan.File) string { return f.Environments[0].Services[0].Project }

func region(f *plan.File) string { return f.Environments[0].Services[0].Region }

func registryHost(f *plan.File) string {
	host, _, _ := strings.Cut(f.Environments[0].Services[0].Image, "/")
	return host
}
