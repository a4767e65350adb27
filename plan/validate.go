package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Limits of Cloud Run. A revision is called SERVICE-sROLLOUT-ATTEMPT, with 6 characters of the
// rollout's ID and up to 2 digits, and revision names end at 63 characters. A tag and its service
// make one DNS label together, which leaves them 46.
// https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration#tags
const (
	maxRevision    = 63
	revisionSuffix = len("-s") + 6 + len("-") + 2
	maxTagged      = 46
	maxCloudRun    = min(maxRevision-revisionSuffix, maxTagged-len(CandidateTag))
)

// CandidateTag is the traffic tag under which a candidate is reached before users are sent to it.
const CandidateTag = "candidate"

// validator checks what only shows when the parts of a file are put side by side. It looks at what
// could be read; what could not has its error already.
type validator struct {
	*decoder
	file *File
}

func (v *validator) validate() {
	homes := map[string]Target{}
	for _, e := range v.file.Environments {
		v.environment(e)
		for _, s := range e.Services {
			v.service(s)
			v.home(homes, s, Target{e.Name, s.Name})
		}
	}
	for _, p := range v.file.Plans {
		v.plan(p)
	}
	v.identities()
}

// where returns the node that the first of the pointers was read from.
func (v *validator) where(pointers ...any) ast.Node {
	for _, p := range pointers {
		if n := v.at[p]; n != nil {
			return n
		}
	}
	return nil
}

func (v *validator) environment(e *Environment) {
	at := v.where(e)
	v.typedName(at, "an environment", e.Name)
	if slices.Contains(commandWords(), e.Name) {
		v.errorf(at, "Take another name.", "/deploy %s is a command already", e.Name)
	}
	v.place(e.Region, &e.Region, e.Channel, &e.Channel)
	v.planName(e.Plan, &e.Plan)
	v.checkPeople(&e.Deployers)
	v.alerts(e)
	v.hosts(e)
}

// home checks that only one target rolls out a Cloud Run service, because a lock is a target's.
func (v *validator) home(homes map[string]Target, s *Service, t Target) {
	home := strings.Join([]string{s.Project, s.Region, s.CloudRun}, "/")
	other, taken := homes[home]
	switch {
	case s.CloudRun == "" || s.Project == "" || s.Region == "":
	case taken:
		v.errorf(v.where(&s.CloudRun), "Two targets cannot roll out one Cloud Run service; remove one, or give it its own project or region.",
			"%s is rolled out as %s already", s.CloudRun, other)
	default:
		homes[home] = t
	}
}

func (v *validator) service(s *Service) {
	v.typedName(v.where(s), "a service", s.Name)
	v.place(s.Region, &s.Region, s.Channel, &s.Channel)
	v.planName(s.Plan, &s.Plan)
	v.checkPeople(&s.Owners)
	v.cloudRunName(s.CloudRun, &s.CloudRun, maxCloudRun,
		"so that revision names and the address of its candidate stay within Cloud Run's limits")
	v.image(s)
}

// typedName checks a name that people type in /deploy ENV/SERVICE and in ${SERVICE.url}.
func (v *validator) typedName(at ast.Node, what, name string) {
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`).MatchString(name) {
		v.errorf(at, "Use up to 40 small letters, digits and dashes, beginning with a letter.", "%q cannot be the name of %s", name, what)
	}
}

// commandWords are what may stand where /deploy expects a target.
func commandWords() []string {
	return []string{"abort", "ack", "all", "approve", "freeze", "graph", "help", "history", "incidents", "lock", "pause", "plan",
		"promote", "queue", "reject", "resolve", "resume", "retry", "rollback", "silence", "status", "steal", "unfreeze", "unlock", "unqueue"}
}

func (v *validator) place(region string, regionAt *string, channel string, channelAt *string) {
	if at := v.at[regionAt]; at != nil && region != "" && !regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`).MatchString(region) {
		v.errorf(at, "Write it as in us-central1; a zone such as us-central1-a is too much.", "%q is not a region", region)
	}
	v.channel(channel, channelAt)
}

func (v *validator) channel(channel string, channelAt *string) {
	at := v.at[channelAt]
	switch {
	case at == nil || channel == "":
	case strings.HasPrefix(channel, "#"):
		v.errorf(at, "Write "+strings.TrimPrefix(channel, "#")+".", "a channel is named without its #")
	case strings.ContainsAny(channel, " .,@\t\n") || len(channel) > 80:
		v.errorf(at, "Write the channel's name, as in deploys-staging, or its ID, as in C0123ABCDEF.", "%q is not a channel", channel)
	}
}

func (v *validator) planName(name string, at *string) {
	if n := v.at[at]; n != nil && name != "" && v.file.Plan(name) == nil {
		v.errorf(n, "", "unknown plan %s%s", name, didYouMean(name, v.planNames()))
	}
}

func (v *validator) planNames() []string {
	names := make([]string, len(v.file.Plans))
	for i, p := range v.file.Plans {
		names[i] = p.Name
	}
	return names
}

// checkPeople checks handles of people and groups.
func (d *decoder) checkPeople(list *[]string) {
	known := regexp.MustCompile(`^(@[^\s@]+|[UWS][A-Z0-9]{6,})$`)
	for i := range *list {
		who := &(*list)[i]
		switch {
		case *who == "":
		case !known.MatchString(*who):
			d.errorf(d.at[who], `Write "@name" for a person or a group, or a Slack ID.`, "%q is nobody", *who)
		case slices.Contains((*list)[:i], *who):
			d.errorf(d.at[who], "Keep one of the two.", "%s is here twice", *who)
		}
	}
}

// cloudRunName checks the name of a Cloud Run service or job.
func (v *validator) cloudRunName(name string, at *string, longest int, why string) {
	switch {
	case name == "":
	case !regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`).MatchString(name):
		v.errorf(v.where(at), "Cloud Run allows small letters, digits and dashes, beginning with a letter and not ending with a dash.",
			"%q cannot be a name in Cloud Run", name)
	case len(name) > longest:
		v.errorf(v.where(at), fmt.Sprintf("Use at most %d, %s.", longest, why), "%s is too long, %d characters", name, len(name))
	}
}

// image checks that it is a repository only: the tag stands beside it, the digest comes with a rollout.
func (v *validator) image(s *Service) {
	at := v.where(&s.Image)
	last := s.Image[strings.LastIndex(s.Image, "/")+1:]
	switch {
	case s.Image == "":
	case strings.Contains(s.Image, "@"):
		v.errorf(at, "Leave the digest out; a rollout finds it from the tag.", "image has a digest")
	case strings.Contains(last, ":"):
		repository, tag, _ := strings.Cut(last, ":")
		v.errorf(at, "Write image: …/"+repository+" and tag: "+tag+".", "image has a tag")
	case strings.Contains(s.Image, "://") || strings.ContainsAny(s.Image, " \t\n"):
		v.errorf(at, "Write it as in us-docker.pkg.dev/PROJECT/REPOSITORY/NAME.", "%q is not an image", s.Image)
	}
	if s.Tag != "" && !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`).MatchString(s.Tag) {
		v.errorf(v.where(&s.Tag), "Tags have letters, digits, dots, dashes and _.", "%q cannot be a tag", s.Tag)
	}
}

// limit checks a share that is tested against: nothing can be below 0%, and everything is below 100%.
func (v *validator) limit(at ast.Node, p Percent) {
	if at != nil && (p <= 0 || p >= 1) {
		v.errorf(at, "Use more than 0% and less than 100%.", "%s cannot be a limit", p)
	}
}

// fillJobs gives jobs that name no service the one that the plan deploys, if it is only one.
func (d *decoder) fillJobs(p *Plan) {
	deployed := p.deploys()
	for _, s := range p.steps() {
		if s.Job == nil || s.Job.Service != "" {
			continue
		}
		switch {
		case len(deployed) == 1:
			s.Job.Service = deployed[0]
		case s.Job.Image == ImageNew && len(deployed) > 1:
			d.errorf(d.at[&s.Job.Image], "Add service: "+strings.Join(deployed, " or ")+" to the job.",
				"the plan deploys %s; whose new image is meant?", strings.Join(deployed, " and "))
		}
	}
}

// deploys lists the services that the plan deploys, each once.
func (p *Plan) deploys() []string {
	var names []string
	for _, s := range p.steps() {
		if s.Deploy != nil && s.Deploy.Service != "" && !slices.Contains(names, s.Deploy.Service) {
			names = append(names, s.Deploy.Service)
		}
	}
	return names
}

// steps returns the steps of all phases in order.
func (p *Plan) steps() []*Step {
	var list []*Step
	for _, phase := range p.Phases {
		list = append(list, phase.Steps...)
	}
	return list
}
