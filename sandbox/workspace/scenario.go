package workspace

import (
	_ "embed" // the plans of scenarios
	"fmt"
	"slices"
	"strings"

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
	// Plan is the plan file that the scenario is played with; "": whichever the user gives.
	Plan string
}

// moduleNotFound is how a backend fails whose code imports what its image does not have.
const moduleNotFound = "ModuleNotFoundError: No module named 'auth_service'"

//go:embed plans/migration.yaml
var migrationPlan string

//go:embed plans/low-traffic.yaml
var lowTrafficPlan string

// Scenarios are the ones that -scenario knows, the default first.
func Scenarios() []Scenario {
	outdated := fakegcp.Behavior{ErrorRate: 0.72, Exception: moduleNotFound}
	healthy := fakegcp.Behavior{ErrorRate: 0.005}
	faulty := fakegcp.Behavior{ErrorRate: 0.3, Exception: "KeyError: 'session_id'"}
	return []Scenario{{
		Name:  "ssot",
		About: "staging runs outdated code and answers 72% of its requests with errors; the new image brings that below 5%",
		RPS:   40, Old: outdated, New: fakegcp.Behavior{ErrorRate: 0.009},
	}, {
		Name:  "bad-deploy",
		About: "staging is healthy, and the new image answers 30% of its requests with errors; traffic goes back by itself",
		RPS:   40, Old: healthy, New: faulty,
	}, {
		Name:  "worse-than-before",
		About: "the new image errs at 30%, yet the old one at 72%: nothing moves by itself, and people decide",
		RPS:   40, Old: outdated, New: faulty,
	}, {
		Name:  "crash-on-start",
		About: "the new image exits before it listens; no traffic ever reaches it",
		RPS:   40, Old: healthy, New: fakegcp.Behavior{CrashOnStart: true, Exception: moduleNotFound},
	}, {
		Name:  "low-traffic",
		About: "staging gets one request in 20 seconds, too few to tell a good image from a bad one",
		RPS:   0.05, Old: healthy, New: healthy, Plan: lowTrafficPlan,
	}, {
		Name:  "permission-missing",
		About: "the account of Slipway may not update the service; that is found before anything is deployed",
		RPS:   40, Old: healthy, New: healthy, Denied: []string{"run.services.update"},
	}, {
		Name:  "someone-else-deployed",
		About: "another pipeline changes the service while the rollout is under way",
		RPS:   40, Old: healthy, New: healthy,
	}, {
		Name:  "migration-ran",
		About: "the new image errs at 30%, but the database was migrated for it: going back is for people to decide",
		RPS:   40, Old: healthy, New: faulty, Plan: migrationPlan,
	}}
}

// Load returns the plan file that the scenario is played with: its own, or else the one at path.
func (s Scenario) Load(path string) (*plan.File, error) {
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
	return c.AddService(fakegcp.ServiceSpec{Name: service.CloudRun, Image: service.Image + ":" + OldTag, RPS: s.RPS})
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
