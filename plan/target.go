package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Target is what a rollout and a lock are about: an environment, or one service in it.
type Target struct {
	Environment string `json:"environment"`
	Service     string `json:"service,omitempty"` // "": the whole environment
}

// String returns the target as people type it: staging or staging/backend.
func (t Target) String() string {
	if t.Service == "" {
		return t.Environment
	}
	return t.Environment + "/" + t.Service
}

// ParseTarget reads ENV or ENV/SERVICE. The error names the nearest target that file has and is fit
// to be shown to whoever typed text.
func ParseTarget(file *File, text string) (Target, error) {
	name, service, scoped := strings.Cut(text, "/")
	env := file.Environment(name)
	switch {
	case text == "":
		return Target{}, errors.New("no target; say which, as in " + strings.Join(file.targets(), ", "))
	case env == nil:
		return Target{}, fmt.Errorf("unknown environment %s%s", name, file.suggest(name, service))
	case !scoped:
		return Target{Environment: name}, nil
	case env.Service(service) == nil:
		known := env.serviceNames()
		hint := didYouMean(service, known)
		if hint == "" {
			hint = "; it has " + strings.Join(known, ", ")
		}
		return Target{}, fmt.Errorf("unknown service %q in %s%s", service, name, hint)
	}
	return Target{Environment: name, Service: service}, nil
}

// suggest returns how the text of a target with an unknown environment may have been meant. A bare
// service's name means that service wherever it is.
func (f *File) suggest(name, service string) string {
	var names, homes []string
	for _, e := range f.Environments {
		names = append(names, e.Name)
		if service == "" && e.Service(name) != nil {
			homes = append(homes, Target{e.Name, name}.String())
		}
	}
	if len(homes) > 0 {
		return "; did you mean " + strings.Join(homes, " or ") + "?"
	}
	if near, ok := Nearest(name, names); ok {
		if service != "" {
			near += "/" + service
		}
		return "; did you mean " + near + "?"
	}
	return "; there is " + strings.Join(names, ", ")
}

// targets lists what can be typed, environments first.
func (f *File) targets() []string {
	var list []string
	for _, e := range f.Environments {
		list = append(list, e.Name)
	}
	for _, e := range f.Environments {
		for _, s := range e.Services {
			list = append(list, Target{e.Name, s.Name}.String())
		}
	}
	return list
}

func (e *Environment) serviceNames() []string {
	names := make([]string, len(e.Services))
	for i, s := range e.Services {
		names[i] = s.Name
	}
	return names
}

// PlanFor returns the plan that a rollout to t runs, ready to be frozen into it: a copy, with t's
// approval policy in its approval steps. The error says what is missing when t is not in the file.
func (f *File) PlanFor(t Target) (*Plan, error) {
	env := f.Environment(t.Environment)
	if env == nil {
		return nil, fmt.Errorf("unknown environment %s", t.Environment)
	}
	name := env.Plan
	if t.Service != "" {
		s := env.Service(t.Service)
		if s == nil {
			return nil, fmt.Errorf("unknown service %s in %s", t.Service, t.Environment)
		}
		name = s.Plan
	}
	p := f.Plan(name)
	if p == nil {
		return nil, fmt.Errorf("unknown plan %s of %s", name, t)
	}
	return f.completed(p, env), nil
}

// completed copies p for an environment: base under the keys that its approval steps give themselves, and
// the defaults of its gates. Steps are not changed after loading, so the copy shares what it does not replace.
func (f *File) completed(p *Plan, e *Environment) *Plan {
	frozen := *p
	frozen.Phases = make([]*Phase, len(p.Phases))
	for i, phase := range p.Phases {
		copied := *phase
		copied.Steps = slices.Clone(phase.Steps)
		for j, s := range copied.Steps {
			copied.Steps[j] = s.withGate(func(g *Gate) { g.fill(e.Production) })
			if o := f.overlays[s]; o != nil {
				asked := *s
				o.fill(&asked, e.Approval)
				copied.Steps[j] = &asked
			}
		}
		frozen.Phases[i] = &copied
	}
	return &frozen
}
