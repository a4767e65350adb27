package plan

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (v *validator) plan(p *Plan) {
	at := v.where(p)
	switch {
	case v.where(&p.Phases) == nil: // reported as missing
	case len(p.steps()) == 0:
		v.errorf(at, "Add phases with steps, one of which deploys.", "plan %s is empty", p.Name)
	case !slices.ContainsFunc(p.steps(), func(s *Step) bool { return s.Kind == KindDeploy }):
		v.errorf(at, "Add a step such as {name: Deploy candidate, deploy: {service: backend}}.", "plan %s deploys nothing", p.Name)
	}
	v.planParts(p)
	o := order{validator: v, percent: map[string]int{}, deployed: map[string]bool{}}
	o.check(p)
	run := false
	for _, e := range v.file.Environments {
		if e.runs(p) {
			run = true
			v.planIn(p, e)
		}
	}
	if !run {
		v.unusedPlan(p)
	}
}

// unusedPlan checks a plan that no environment runs as far as that goes.
func (v *validator) unusedPlan(p *Plan) {
	v.warnf(v.where(p), "Name it as plan: in an environment, or remove it.", "no environment runs plan %s", p.Name)
	anywhere := &Environment{Name: "any environment"}
	for _, e := range v.file.Environments {
		anywhere.Services = append(anywhere.Services, e.Services...)
	}
	v.servicesIn(p, anywhere)
}

// planParts checks each phase and step by itself, and that names are not given twice.
func (v *validator) planParts(p *Plan) {
	phases, steps := map[string]ast.Node{}, map[string]ast.Node{}
	for _, phase := range p.Phases {
		v.unique(phases, "phase", phase.Name, v.where(&phase.Name))
		if v.where(&phase.Steps) != nil && len(phase.Steps) == 0 && len(p.steps()) > 0 {
			v.errorf(v.where(&phase.Steps), "Add steps, or remove the phase.", "phase %s is empty", phase.Name)
		}
		for _, s := range phase.Steps {
			v.unique(steps, "step", s.Name, v.where(&s.Name))
			v.step(s)
		}
	}
}

func (v *validator) unique(seen map[string]ast.Node, what, name string, at ast.Node) {
	if name == "" {
		return
	}
	if first := seen[name]; first != nil {
		line, _ := position(first)
		v.errorf(at, "Each name stands once in a plan; the card and the buttons go by it.", "there is a %s %q already, in line %d", what, name, line)
		return
	}
	seen[name] = at
}

func (v *validator) step(s *Step) {
	v.attempts(s)
	switch {
	case s.Wait == 0 && v.where(&s.Wait) != nil:
		v.errorf(v.where(&s.Wait), "Write it as in wait: 5m.", "this waits for no time")
	case s.Command != nil:
		v.command(s.Command)
	case s.Job != nil:
		v.cloudRunName(s.Job.Name, &s.Job.Name, maxRevision, "Cloud Run's limit")
	case s.Traffic != nil:
		if at := v.where(&s.Traffic.Percent); at != nil && (s.Traffic.Percent < 1 || s.Traffic.Percent > 100) {
			v.errorf(at, "Use 1 to 100. To take traffic away, roll back.", "%d%% of the traffic cannot be shifted", s.Traffic.Percent)
		}
	case s.ErrorRate != nil:
		v.countingGate(s, &s.ErrorRate.Gate, s.ErrorRate, v.where(&s.ErrorRate.Below), s.ErrorRate.Below)
	case s.Latency != nil:
		v.countingGate(s, &s.Latency.Gate, s.Latency, v.where(s.Latency), s.Latency.Limit())
	case s.NoLogs != nil:
		v.noLogs(s, s.NoLogs)
	}
}

// attempts checks the keys that say what a failure of the step means.
func (v *validator) attempts(s *Step) {
	if s.Retries < 0 || s.Retries > 10 {
		v.errorf(v.where(&s.Retries), "Use 0 to 10.", "%d retries make no sense", s.Retries)
	} else if s.Retries > 0 && s.Repeatable != nil && !*s.Repeatable {
		v.errorf(v.where(&s.Retries), "Remove retries, or repeatable: false.", "a step that must not be repeated cannot have retries")
	}
	needed := s.Kind == KindDeploy || s.Kind == KindTraffic || s.Kind == KindApproval
	if s.ReportOnly && needed {
		v.errorf(v.where(&s.ReportOnly), "Remove report_only; it is for checks.", "what follows relies on this step, so its failure cannot be only reported: %s", s.Kind)
	}
}

func (v *validator) command(c *Command) {
	if at := v.where(&c.Args); at != nil && (len(c.Args) == 0 || c.Args[0] == "") {
		v.errorf(at, "Write a list, as in [make, test].", "this command has no program")
	}
}

func (v *validator) noLogs(s *Step, g *NoLogs) {
	v.limit(v.where(&g.MinRate), g.MinRate)
	v.alpha(g.Alpha, &g.Alpha)
	v.budget(s, g.Budget, v.where(&g.Budget, g), g.MaxLatency, "max_latency")
	v.evidence(v.where(&g.MinRate), g.MinRate, g.Alpha, 0, g.Budget)
}

func (v *validator) alpha(value float64, at *float64) {
	if n := v.where(at); n != nil && !(value > 0 && value <= 0.5) {
		v.errorf(n, "It is the share of wrong verdicts that is put up with: more than 0, at most 0.5; 0.05 is usual.", "alpha cannot be %v", value)
	}
}

// budget checks that a gate can come to its verdict before its budget ends, and its budget before
// the step's timeout.
func (v *validator) budget(s *Step, budget Duration, at ast.Node, least Duration, what string) {
	switch {
	case budget <= least:
		v.errorf(at, "Give it more than "+least.String()+": "+what+".", "a budget of %s leaves no time for a verdict", budget)
	case s.Timeout != 0 && s.Timeout <= budget:
		v.errorf(v.where(&s.Timeout, s), "Leave it out: the budget ends the gate, and as INCONCLUSIVE, not as a failure.",
			"the timeout of %s ends before the gate's budget of %s", s.Timeout, budget)
	}
}

// planIn checks what depends on the environment that runs the plan.
func (v *validator) planIn(p *Plan, e *Environment) {
	v.servicesIn(p, e)
	for _, s := range p.steps() {
		v.callsIn(s, e)
		if o := v.overlays[s]; o != nil {
			v.approvalIn(s, o.over(e.Approval), e)
		}
	}
}

func (v *validator) servicesIn(p *Plan, e *Environment) {
	if len(e.Services) == 0 {
		return // reported there
	}
	for _, s := range p.steps() {
		if name := s.Service(); name != "" && e.Service(name) == nil {
			v.errorf(v.where(s.serviceField(), s), "Services of "+e.Name+": "+strings.Join(e.serviceNames(), ", ")+".",
				"unknown service %s in %s%s", name, e.Name, didYouMean(name, e.serviceNames()))
		}
	}
}

func (v *validator) approvalIn(s *Step, a *Approval, e *Environment) {
	at := v.where(s)
	if len(a.Approvers) == 0 {
		v.errorf(at, "Add approval: {approvers: [\"@group\"]} to "+e.Name+", or approvers to this step.", "nobody can approve this in %s", e.Name)
		return
	}
	for _, who := range a.Approvers {
		if strings.HasPrefix(who, "@") || strings.HasPrefix(who, "S") {
			return // may be a group of any size
		}
	}
	if a.Required > len(a.Approvers) {
		v.errorf(at, "Name more approvers, a group, or require fewer.", "%d approvals are required in %s, and %d can be given",
			a.Required, e.Name, len(a.Approvers))
	}
}

// order follows a plan from start to end and knows what has been done by each step.
type order struct {
	*validator
	deployed map[string]bool
	percent  map[string]int
}

func (o *order) check(p *Plan) {
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			o.step(s)
			if !phase.Parallel {
				o.done(s)
			}
		}
		if phase.Parallel { // its steps have no order, so none can rely on another
			for _, s := range phase.Steps {
				o.done(s)
			}
		}
	}
	for _, s := range p.steps() {
		if s.Kind == KindDeploy && o.percent[s.Service()] < 100 {
			o.warnf(o.where(s), "End with traffic: {service: "+s.Service()+", percent: 100}, after a gate.",
				"the plan leaves %s at %d%% of the traffic", s.Service(), o.percent[s.Service()])
		}
	}
}

func (o *order) step(s *Step) {
	name := s.Service()
	switch s.Kind {
	case KindTraffic, KindErrorRate, KindLatency, KindNoLogs:
		if name == "" {
			break
		}
		if !o.deployed[name] {
			o.errorf(o.where(s), "Put it after the step that deploys "+name+", in a later phase if that one is parallel.",
				"%s of %s comes before its deploy", s.Kind, name)
		} else if s.Kind != KindTraffic && o.percent[name] == 0 {
			o.warnf(o.where(s), "Shift some traffic first.", "no traffic goes to the new %s yet: this gate sees test requests at most", name)
		}
	}
	if s.Traffic != nil && s.Traffic.Percent > 0 && s.Traffic.Percent <= o.percent[name] {
		o.errorf(o.where(&s.Traffic.Percent, s), "Traffic only rises within a plan; to lower it, roll back.",
			"%s is at %d%% already", name, o.percent[name])
	}
	for _, u := range o.uses {
		if u.step == s {
			o.references(u)
		}
	}
}

func (o *order) done(s *Step) {
	switch {
	case s.Deploy != nil:
		o.deployed[s.Deploy.Service] = true
	case s.Traffic != nil:
		o.percent[s.Traffic.Service] = max(o.percent[s.Traffic.Service], s.Traffic.Percent)
	}
}

// references checks the ${…} of one text.
func (o *order) references(u use) {
	if _, err := Expand(u.text, func(string) (string, bool) { return "", true }); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		o.errorf(u.node, sentence(hint), "%s", message)
	}
	for _, name := range References(u.text) {
		o.reference(u, name)
	}
}

func (o *order) reference(u use, name string) {
	forms := serviceReferences()
	service, form, dotted := strings.Cut(name, ".")
	known := slices.Clone(u.captured)
	for _, e := range o.file.Environments {
		for _, s := range e.Services {
			for f := range forms {
				known = append(known, s.Name+"."+f)
			}
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	switch late := forms[form]; {
	case !slices.Contains(known, name):
		hint := "Known here: ${" + strings.Join(known, "}, ${") + "}. Write $${ for a plain ${."
		suggestion := ""
		if near, ok := Nearest(name, known); ok {
			suggestion = "; did you mean ${" + near + "}?"
		}
		o.errorf(u.node, hint, "unknown reference ${%s}%s", name, suggestion)
	case dotted && late && !o.deployed[service]:
		o.errorf(u.node, "Put the step after the one that deploys "+service+".", "${%s} is not there before %s is deployed", name, service)
	}
}
