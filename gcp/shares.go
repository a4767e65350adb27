package gcp

import (
	"cmp"
	"maps"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/plan"
)

// This file computes traffic and makes no calls.

const (
	latest   = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	revision = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
)

// split is where a traffic step sends requests.
type split struct {
	to                plan.TrafficTo
	candidate, stable string // revisions
	percent           int    // on the candidate, for plan.ToCandidate
}

// rescue reports whether the split is a way back, which takes the service in any state.
func (s split) rescue() bool { return s.to == plan.ToStable || s.to == plan.ToRevision }

// back is the revision that a way back leads to, and left the one that it takes the traffic from.
func (s split) back() string {
	if s.to == plan.ToRevision {
		return s.candidate
	}
	return s.stable
}

func (s split) left() string {
	if s.to == plan.ToRevision {
		return s.stable
	}
	return s.candidate
}

// trafficFor returns the traffic of a service for a split. Tags of other people stay where they are,
// at 0%; the candidate's tag stays until the service is handed over (ToLatest, ToPinned). On the way
// back every tag is kept only where the statuses show it: one of a revision that never came up would
// keep the whole change from taking effect.
func trafficFor(svc *runpb.Service, s split) []*runpb.TrafficTarget {
	var traffic []*runpb.TrafficTarget
	switch s.to {
	case plan.ToStable, plan.ToRevision:
		traffic = []*runpb.TrafficTarget{share(s.back(), 100)}
		if tagged := proven(svc).tags[plan.CandidateTag]; tagged != "" && tagged != "LATEST" {
			traffic = append(traffic, candidateShare(tagged, 0))
		}
	case plan.ToLatest:
		traffic = []*runpb.TrafficTarget{{Type: latest, Percent: 100}}
	case plan.ToPinned:
		traffic = []*runpb.TrafficTarget{share(s.candidate, 100)}
	default:
		traffic = []*runpb.TrafficTarget{candidateShare(s.candidate, s.percent)}
		if s.percent < 100 {
			traffic = append(traffic, share(s.stable, 100-s.percent))
		}
	}
	tags := otherTags(svc.GetTraffic())
	if s.rescue() {
		shown := proven(svc).tags
		tags = slices.DeleteFunc(tags, func(t *runpb.TrafficTarget) bool { return shown[t.GetTag()] == "" })
	}
	return append(traffic, tags...)
}

// met reports whether a service's traffic is what the split asks for: in what is asked of Cloud Run, and
// in what the statuses prove. For a way back only the shares count: which tags it
// keeps depends on what has come up meanwhile.
func (s split) met(svc *runpb.Service) (inRequest, inEffect bool) {
	want := asked(trafficFor(svc, s))
	same := want.equal
	if s.rescue() {
		same = func(a allocation) bool { return maps.Equal(a.percent, want.percent) }
	}
	return same(asked(svc.GetTraffic())), same(proven(svc))
}

// trafficBeside returns the traffic of svc as it is, with the shares pinned to the revisions that
// serve them, and a new candidate beside them at 0%. Pinning is what keeps the candidate from
// serving: LATEST would follow it. The candidate's tag is taken from whoever has it.
func trafficBeside(svc *runpb.Service, candidate string) []*runpb.TrafficTarget {
	shares := servingShares(svc)
	var traffic []*runpb.TrafficTarget
	for _, name := range byShare(shares) {
		traffic = append(traffic, share(name, shares[name]))
	}
	traffic = append(traffic, candidateShare(candidate, 0))
	return append(traffic, otherTags(svc.GetTraffic())...)
}

// keptNote is on a service the revision on which Slipway keeps all of its traffic. It stays when others deploy,
// whose revisions then get no traffic, so that it can be told who keeps it.
const keptNote = "slipway-keeps"

// keeping returns the annotations of a service that is to get the traffic given.
func keeping(svc *runpb.Service, traffic []*runpb.TrafficTarget) map[string]string {
	notes := maps.Clone(svc.GetAnnotations())
	delete(notes, keptNote)
	if name := kept(asked(traffic)); name != "" {
		notes = with(notes, keptNote, name)
	}
	return notes
}

// kept is the revision that has all traffic by its name, and would have it still after another deploy; "" if
// there is none.
func kept(a allocation) string {
	for name, percent := range a.percent {
		if percent == 100 && name != "LATEST" {
			return name
		}
	}
	return ""
}

func share(name string, percent int) *runpb.TrafficTarget {
	return &runpb.TrafficTarget{Type: revision, Revision: name, Percent: int32(percent)}
}

func candidateShare(name string, percent int) *runpb.TrafficTarget {
	target := share(name, percent)
	target.Tag = plan.CandidateTag
	return target
}

// otherTags are the tags that are not ours, without a share.
func otherTags(current []*runpb.TrafficTarget) []*runpb.TrafficTarget {
	var tags []*runpb.TrafficTarget
	for _, t := range current {
		if t.GetTag() != "" && t.GetTag() != plan.CandidateTag {
			tags = append(tags, &runpb.TrafficTarget{Type: t.GetType(), Revision: t.GetRevision(), Tag: t.GetTag()})
		}
	}
	return tags
}

// tagged returns the revision that has a tag, or "".
func tagged(traffic []*runpb.TrafficTarget, tag string) string {
	for _, t := range traffic {
		if t.GetTag() == tag {
			return short(t.GetRevision())
		}
	}
	return ""
}

// servingShares returns the percent of the traffic that each revision gets, as the statuses show it.
func servingShares(svc *runpb.Service) map[string]int {
	shares := map[string]int{}
	for _, status := range svc.GetTrafficStatuses() {
		if status.GetPercent() > 0 {
			shares[statusRevision(svc, status)] += int(status.GetPercent())
		}
	}
	return shares
}

// statusRevision resolves LATEST to the revision it stands for.
func statusRevision(svc *runpb.Service, status *runpb.TrafficTargetStatus) string {
	if name := short(status.GetRevision()); name != "" {
		return name
	}
	return short(svc.GetLatestReadyRevision())
}

// serving returns the revision with the largest share, or "" when nothing serves.
func serving(svc *runpb.Service) string {
	if names := byShare(servingShares(svc)); len(names) > 0 {
		return names[0]
	}
	return ""
}

// byShare lists revisions by their share, the largest first.
func byShare(shares map[string]int) []string {
	return slices.SortedFunc(maps.Keys(shares), func(a, b string) int {
		return cmp.Or(shares[b]-shares[a], cmp.Compare(a, b))
	})
}

// allocation is traffic in a form that can be compared: what "LATEST" or a revision gets, and where
// each tag points.
type allocation struct {
	percent map[string]int
	tags    map[string]string
}

func newAllocation() allocation {
	return allocation{percent: map[string]int{}, tags: map[string]string{}}
}

func (a allocation) add(kind runpb.TrafficTargetAllocationType, name string, percent int32, tag string) {
	if kind == latest {
		name = "LATEST"
	}
	name = short(name)
	if percent > 0 {
		a.percent[name] += int(percent)
	}
	if tag != "" {
		a.tags[tag] = name
	}
}

func (a allocation) equal(b allocation) bool {
	return maps.Equal(a.percent, b.percent) && maps.Equal(a.tags, b.tags)
}

// asked is the traffic that a list of targets asks for.
func asked(traffic []*runpb.TrafficTarget) allocation {
	a := newAllocation()
	for _, t := range traffic {
		a.add(t.GetType(), t.GetRevision(), t.GetPercent(), t.GetTag())
	}
	return a
}

// proven is the traffic that a service's statuses show.
func proven(svc *runpb.Service) allocation {
	a := newAllocation()
	for _, t := range svc.GetTrafficStatuses() {
		a.add(t.GetType(), t.GetRevision(), t.GetPercent(), t.GetTag())
	}
	return a
}

// settled reports whether Cloud Run has done all that it was asked to, or has given up: after a
// failure observed_generation stays that of the last good state
// (https://cloud.google.com/run/docs/reference/rpc/google.cloud.run.v2#service, reconciling).
func settled(svc *runpb.Service) bool {
	gaveUp := svc.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED
	return !svc.GetReconciling() && (gaveUp || svc.GetObservedGeneration() == svc.GetGeneration())
}
