package plan

import (
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// approvalOverlay is what an approval policy says itself. In a step the rest comes from the
// environment that the plan is run for, in an environment it is the defaults.
type approvalOverlay struct {
	own     Approval
	given   map[string]bool
	timeout bool // the step has a timeout of its own
}

func (d *decoder) approval(n ast.Node) *approvalOverlay {
	o := &approvalOverlay{}
	if v := d.resolve(n); v == nil || v.Type() == ast.NullType {
		return o
	}
	o.given = d.object(n, "approval", []field{
		{"required", false, d.integer(&o.own.Required)},
		{"approvers", false, d.texts(&o.own.Approvers, "people or groups")},
		{"self", false, d.boolean(&o.own.Self)},
		{"expires", false, d.unit(&o.own.Expires)},
	})
	if at := d.at[&o.own.Required]; at != nil && o.own.Required < 1 {
		d.errorf(at, "Ask at least one person, or leave the approval step out.", "%d approvals cannot be asked for", o.own.Required)
	}
	if at := d.at[&o.own.Expires]; at != nil && o.own.Expires == 0 {
		d.errorf(at, "Give people time to answer, as in 30m.", "an approval must stay open for some time")
	}
	d.checkPeople(&o.own.Approvers)
	return o
}

// over returns base with the overlay's own keys over it; with no base, over the defaults.
func (o *approvalOverlay) over(base *Approval) *Approval {
	a := Approval{Required: 1, Expires: Duration(30 * time.Minute)}
	if base != nil {
		a = *base
	}
	if o.given["required"] {
		a.Required = o.own.Required
	}
	if o.given["approvers"] {
		a.Approvers = o.own.Approvers
	}
	if o.given["self"] {
		a.Self = o.own.Self
	}
	if o.given["expires"] {
		a.Expires = o.own.Expires
	}
	return &a
}

// fill completes an approval step for an environment with the policy base.
func (o *approvalOverlay) fill(s *Step, base *Approval) {
	s.Approval = o.over(base)
	if !o.timeout {
		s.Timeout = s.Approval.Expires + Duration(time.Minute)
	}
}

// fillApprovals completes the approval steps of p when all environments that run p have one policy.
// If they differ, the definition gets no approvers, so that nobody can approve it with the wrong
// environment's rules; PlanFor gives each environment its own.
func (f *File) fillApprovals(p *Plan) {
	var policies []*Approval
	for _, e := range f.Environments {
		if e.runs(p) {
			policies = append(policies, e.Approval)
		}
	}
	differ := func(a *Approval) bool { return !sameApproval(a, policies[0]) }
	shared := len(policies) > 0 && !slices.ContainsFunc(policies, differ)
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			o := f.overlays[s]
			switch {
			case o == nil:
			case shared:
				o.fill(s, policies[0])
			default:
				o.fill(s, nil)
				s.Approval.Approvers = nil
			}
		}
	}
}

func sameApproval(a, b *Approval) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Required == b.Required && a.Self == b.Self && a.Expires == b.Expires && slices.Equal(a.Approvers, b.Approvers)
}

// runs reports whether a rollout to the environment or to one of its services runs p.
func (e *Environment) runs(p *Plan) bool {
	return e.Plan == p.Name || slices.ContainsFunc(e.Services, func(s *Service) bool { return s.Plan == p.Name })
}
