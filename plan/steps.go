package plan

import (
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) plan(name string, n ast.Node) *Plan {
	p := &Plan{Name: name, OnFailure: OnFailureRollback, Watch: Duration(30 * time.Minute)}
	d.object(n, "plan", []field{
		{"phases", true, func(n ast.Node) {
			d.at[&p.Phases] = n
			d.list(n, "phases",
				func(count int) { p.Phases = make([]*Phase, count) },
				func(i int, item ast.Node) { p.Phases[i] = d.phase(item) })
		}},
		{"on_failure", false, choice(d, &p.OnFailure, OnFailureRollback, OnFailureInsist, OnFailurePause, OnFailureAsk)},
		{"watch", false, d.unit(&p.Watch)},
	})
	return p
}

func (d *decoder) phase(n ast.Node) *Phase {
	p := &Phase{}
	d.at[p] = n
	d.object(n, "phase", []field{
		{"name", true, d.text(&p.Name)},
		{"parallel", false, d.boolean(&p.Parallel)},
		{"steps", true, func(n ast.Node) {
			d.at[&p.Steps] = n
			d.list(n, "steps",
				func(count int) { p.Steps = make([]*Step, count) },
				func(i int, item ast.Node) { p.Steps[i] = d.readStep(item) })
		}},
	})
	return p
}

func (d *decoder) readStep(n ast.Node) *Step {
	s := &Step{}
	d.at[s] = n
	d.step = s
	kinds := d.kinds(s)
	given := d.object(n, "step", append([]field{
		{"name", true, d.text(&s.Name)},
		{"timeout", false, d.unit(&s.Timeout)},
		{"retries", false, d.integer(&s.Retries)},
		{"report_only", false, d.boolean(&s.ReportOnly)},
		{"rollback_safe", false, d.optional(&s.RollbackSafe)},
		{"repeatable", false, d.optional(&s.Repeatable)},
	}, kinds...))
	if given == nil {
		return s
	}
	var found []string
	for _, k := range kinds {
		if given[k.key] {
			found = append(found, k.key)
		}
	}
	switch len(found) {
	case 0:
		d.errorf(n, "Add one of "+strings.Join(keys(kinds), ", ")+".", "this step does not say what it does")
	case 1:
		s.Kind = Kind(found[0])
		d.fillTimeout(s)
	default:
		d.errorf(n, "Make a step of each.", "this step does more than one thing: %s", strings.Join(found, ", "))
	}
	return s
}

// kinds are the keys that say what a step does.
func (d *decoder) kinds(s *Step) []field {
	return []field{
		{string(KindDone), false, d.text(&s.Done)},
		{string(KindManual), false, d.manual(s)},
		{string(KindCommand), false, func(n ast.Node) { s.Command = d.command(n) }},
		{string(KindJob), false, func(n ast.Node) { s.Job = d.job(n) }},
		{string(KindPermissions), false, func(n ast.Node) { s.Permissions = d.serviceStep(n) }},
		{string(KindRollbackTarget), false, func(n ast.Node) { s.RollbackTarget = d.serviceStep(n) }},
		{string(KindApproval), false, func(n ast.Node) {
			o := d.approval(n)
			s.Approval = &o.own
			d.overlays[s] = o
		}},
		{string(KindDeploy), false, func(n ast.Node) { s.Deploy = d.serviceStep(n) }},
		{string(KindTraffic), false, func(n ast.Node) { s.Traffic = d.traffic(n) }},
		{string(KindErrorRate), false, func(n ast.Node) { s.ErrorRate = d.errorRate(n) }},
		{string(KindLatency), false, func(n ast.Node) { s.Latency = d.latency(n) }},
		{string(KindNoLogs), false, func(n ast.Node) { s.NoLogs = d.noLogs(n) }},
		{string(KindHTTP), false, d.chain(s)},
		{string(KindWebSocket), false, func(n ast.Node) { s.WebSocket = d.websocket(n) }},
		{string(KindWait), false, d.unit(&s.Wait)},
	}
}

// DefaultTimeout returns how long one attempt of a step of this kind may take when it does not say.
// Steps that wait for something of their own (a gate's budget, an approval's expiry, a wait) get that
// and a little more, so that their own end comes first.
func (k Kind) DefaultTimeout() time.Duration {
	switch k {
	case KindDone, KindPermissions, KindRollbackTarget, KindApproval, KindWait, KindWebSocket:
		return time.Minute
	case KindHTTP:
		return 2 * time.Minute
	case KindTraffic, KindErrorRate, KindLatency, KindNoLogs:
		return 5 * time.Minute
	case KindCommand, KindDeploy:
		return 10 * time.Minute
	case KindManual:
		return 4 * time.Hour
	default: // job
		return 30 * time.Minute
	}
}

func (d *decoder) fillTimeout(s *Step) {
	at := d.at[&s.Timeout]
	if o := d.overlays[s]; o != nil {
		o.timeout = at != nil
	}
	if at != nil && s.Timeout == 0 {
		d.errorf(at, "Leave it out for the default.", "a step needs some time")
	}
	if at != nil {
		return
	}
	s.Timeout = Duration(s.Kind.DefaultTimeout()) + s.Wait
	switch gate := s.CountingGate(); {
	case gate != nil:
		s.Timeout += gate.Budget
	case s.NoLogs != nil:
		s.Timeout += s.NoLogs.Budget
	}
}

// optional reads a boolean that is true when it is left out.
func (d *decoder) optional(to **bool) func(ast.Node) {
	return func(n ast.Node) {
		value := true
		d.boolean(&value)(n)
		*to = &value
	}
}

// manual reads what a person has to do: text, or {} when the step's name says it all.
func (d *decoder) manual(s *Step) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case *ast.NullNode:
		case *ast.MappingNode:
			for _, extra := range v.Values {
				d.errorf(extra.Key, "Write manual: what to do, or manual: {}.", "manual has no keys")
			}
		default:
			d.text(&s.Manual)(n)
		}
	}
}

func (d *decoder) serviceStep(n ast.Node) *ServiceStep {
	s := &ServiceStep{}
	d.object(n, "service_step", []field{{"service", true, d.text(&s.Service)}})
	return s
}

func (d *decoder) command(n ast.Node) *Command {
	c := &Command{}
	args := d.strings(&c.Args, "arguments", d.expandable)
	switch v := d.resolve(n).(type) {
	case *ast.SequenceNode:
		args(n)
	case *ast.StringNode:
		d.errorf(n, "Write a list, as in [make, test]: no shell would split the text.", "command is one text: %s", v.Value)
	default:
		d.object(n, "command", []field{
			{"args", true, args},
			{"env", false, d.strings(&c.Env, "names of environment variables", d.variable)},
		})
	}
	return c
}

func (d *decoder) job(n ast.Node) *Job {
	j := &Job{}
	d.object(n, "job", []field{
		{"name", true, d.text(&j.Name)},
		{"service", false, d.text(&j.Service)},
		{"image", false, func(n ast.Node) {
			d.text(&j.Image)(n)
			if d.at[&j.Image] != nil && j.Image != ImageNew {
				d.errorf(n, "Leave it out to run the job as it is, or write image: new. Cloud Run cannot change a job's image for one run.",
					"a job's image can only be %s", ImageNew)
			}
		}},
		{"args", false, d.strings(&j.Args, "arguments", d.expandable)},
		{"env", false, textMap(d, &j.Env, "variables to values", d.expandable)},
	})
	return j
}

func (d *decoder) traffic(n ast.Node) *Traffic {
	t := &Traffic{}
	d.object(n, "traffic", []field{
		{"service", true, d.text(&t.Service)},
		{"percent", true, d.integer(&t.Percent)},
	})
	return t
}
