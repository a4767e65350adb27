package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/plan"
)

// Headline is the first line of what people are told, fit for a lock screen. It is in parts, so that whoever
// can write a time in the reader's own zone may.
type Headline struct {
	Fault string    // "backend on staging: 72% errors"
	Since time.Time // when it began
	Until time.Time // when it ended; zero: it has not, or that is not known
	Rest  string    // " (limit 5%)"
}

// At is the whole line, with times in now's zone.
func (h Headline) At(now time.Time) string {
	if h.Until.IsZero() {
		return h.Fault + " since " + clock(h.Since, now) + h.Rest
	}
	return h.Fault + " " + bareClock(h.Since, now) + "–" + clock(h.Until, now) + h.Rest
}

// HeadlineOf is one for all incidents of a thread, of which there is at least one. Those that are resolved are left out while others are not.
func HeadlineOf(of []Incident) Headline {
	of = slices.Clone(of)
	Gravest(of)
	if open := slices.DeleteFunc(slices.Clone(of), func(i Incident) bool { return i.State == Resolved }); len(open) > 0 {
		of = open
	}
	if targets := targetsOf(of); len(targets) > 1 {
		return across(of, targets)
	}
	return together(of)
}

// Gravest sorts incidents by how much they matter to whoever is called: first those that are not over, and of
// them what keeps the most requests from being served.
func Gravest(of []Incident) {
	slices.SortStableFunc(of, func(a, b Incident) int {
		return cmp.Or(
			cmp.Compare(ended(a), ended(b)), cmp.Compare(weight(a.Key.Kind), weight(b.Key.Kind)),
			cmp.Compare(b.Evidence.Rate(), a.Evidence.Rate()), cmp.Compare(b.Evidence.Errors, a.Evidence.Errors),
		)
	})
}

func ended(i Incident) int {
	if i.State == Resolved {
		return 1
	}
	return 0
}

func weight(k Kind) int {
	return slices.Index([]Kind{NoReadyRevision, ErrorRate, CrashOnStart, Latency, LogMatches, SlowLeak, Pinned}, k)
}

// targetsOf are the services, that of the first incident in front.
func targetsOf(of []Incident) []plan.Target {
	var list []plan.Target
	for _, i := range of {
		if !slices.Contains(list, i.Key.Target) {
			list = append(list, i.Key.Target)
		}
	}
	return list
}

func (i Incident) headline() Headline {
	h := Headline{Fault: where(i.Key.Target) + ": " + i.what(), Since: i.onset(), Rest: i.limit()}
	switch i.State {
	case Resolved:
		h.Fault, h.Until = "Resolved: "+h.Fault, i.Evidence.Until
	case Flapping:
		h.Fault = "Flapping: " + h.Fault
	}
	return h
}

// together is for the faults of one service, the gravest in front.
func together(of []Incident) Headline {
	h := of[0].headline()
	var also []string
	for _, i := range of[1:] {
		also = append(also, i.Brief())
	}
	if len(also) > 0 {
		h.Rest += "; also: " + listed(also, mostListed)
	}
	return h
}

// mostListed is how many faults a headline names: on a lock screen there is no room for more.
const mostListed = 5

// across is for several services, of each its gravest fault.
func across(of []Incident, targets []plan.Target) Headline {
	resolved := of[0].State == Resolved
	h := Headline{Since: of[0].onset()}
	for _, i := range of {
		if since := i.onset(); since.Before(h.Since) {
			h.Since = since
		}
		if resolved {
			h.Until = later(h.Until, i.Evidence.Until)
		}
	}
	environment := targets[0].Environment
	if slices.ContainsFunc(targets, func(t plan.Target) bool { return t.Environment != environment }) {
		environment = ""
	}
	h.Rest = ": " + listed(faults(of, targets, environment != ""), mostListed)
	h.Fault = fmt.Sprintf("%d services", len(targets))
	if environment != "" {
		h.Fault += " on " + environment
	}
	switch {
	case resolved:
		h.Fault = "Resolved: " + h.Fault + " failed"
	case !slices.ContainsFunc(of, func(i Incident) bool { return i.State != Flapping }):
		h.Fault = "Flapping: " + h.Fault + " fail"
	default:
		h.Fault += " fail"
	}
	return h
}

// faults names each service with its gravest fault: "backend 72%, auth 40%, api 12% errors". A short name says
// nothing of the environment.
func faults(of []Incident, targets []plan.Target, short bool) []string {
	var list []string
	errors := map[string]bool{}
	for _, t := range targets {
		i := of[slices.IndexFunc(of, func(i Incident) bool { return i.Key.Target == t })]
		name := t.Service
		if !short {
			name = where(t)
		}
		text := name + " " + i.Brief()
		errors[text] = i.Key.Kind == ErrorRate
		list = append(list, text)
	}
	for n, text := range list[:min(len(list), mostListed)-1] {
		if errors[text] && errors[list[n+1]] { // said once, behind the last of them
			list[n] = strings.TrimSuffix(text, " errors")
		}
	}
	return list
}

func listed(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// Brief is the fault where the service's name stands before it.
func (i Incident) Brief() string {
	switch i.Key.Kind {
	case SlowLeak:
		return "a slow leak"
	case LogMatches:
		return fmt.Sprintf("%q %s", i.Match, times(i.Evidence.Errors))
	case CrashOnStart:
		return "crashes on start"
	case NoReadyRevision:
		return "has no revision that can serve"
	}
	return i.what()
}

// onset is when the fault began, as far as can be told.
func (i Incident) onset() time.Time {
	if i.Evidence.Since.IsZero() {
		return i.Opened
	}
	return i.Evidence.Since
}
