package fakegcp

import (
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	trafficLatency = 2 * time.Second        // until a change of traffic is in effect
	retryLatency   = 250 * time.Millisecond // until traffic looks again at a revision that still starts
)

// route is one traffic target in effect.
type route struct {
	revision *revision
	percent  int32
	tag      string
	endpoint *endpoint // of the tag
	credit   int32     // for the split, see pick
}

// reconcile brings the service to generation: first its new revision, if there is one, then its traffic.
// What is stuck stays so, until a later change brings the service to a generation of its own.
func (s *service) reconcile(op *operation, rev *revision, generation int64) {
	if op.neverEnds || rev != nil && rev.behavior.Stuck {
		return
	}
	s.pending++
	if rev == nil {
		s.cloud.after(trafficLatency, func() { s.shift(op, generation) })
		return
	}
	s.cloud.after(rev.latency(), func() {
		now := time.Now()
		s.cloud.settle(rev, now)
		if rev.outcome == failed {
			s.failed(op, generation, rev, configurationsReady, now)
			return
		}
		s.proto.LatestReadyRevision = rev.proto.GetName()
		if generation == s.proto.GetGeneration() {
			s.setCondition(configurationsReady, &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}, now)
		}
		s.cloud.after(trafficLatency, func() { s.shift(op, generation) })
	})
}

// shift puts the wanted traffic into effect, once every revision it names is ready.
func (s *service) shift(op *operation, generation int64) {
	now := time.Now()
	for _, rev := range s.wanted() {
		if rev == nil || rev.outcome == provisioning {
			s.cloud.after(retryLatency, func() { s.shift(op, generation) })
			return
		}
		if rev.outcome == failed {
			s.failed(op, generation, rev, routesReady, now)
			return
		}
	}
	s.catchUp(now)
	if err := s.serve(now); err != nil {
		s.pending--
		op.fail(codes.Internal, err.Error())
		return
	}
	s.pending--
	s.succeeded(generation, now)
	op.succeed(proto.CloneOf(s.proto))
}

// wanted returns the revisions that the wanted traffic needs, in the order of its targets.
func (s *service) wanted() []*revision {
	var out []*revision
	for _, target := range s.proto.GetTraffic() {
		if target.GetType() == followLatest {
			out = append(out, s.latestCreated())
			continue
		}
		out = append(out, s.revision(target.GetRevision()))
	}
	return out
}

// serve replaces the routes and traffic statuses by what the wanted traffic says.
func (s *service) serve(now time.Time) error {
	old := s.routes
	var routes []*route
	var statuses []*runpb.TrafficTargetStatus
	for i, rev := range s.wanted() {
		target := s.proto.GetTraffic()[i]
		r := &route{revision: rev, percent: target.GetPercent(), tag: target.GetTag()}
		if err := s.bindTag(r, old); err != nil {
			return err
		}
		routes = append(routes, r)
		st := &runpb.TrafficTargetStatus{
			Type: target.GetType(), Revision: target.GetRevision(), Percent: target.GetPercent(), Tag: target.GetTag(),
		}
		if r.endpoint != nil {
			st.Uri = r.endpoint.base
		}
		statuses = append(statuses, st)
	}
	s.routes, s.proto.TrafficStatuses = routes, statuses
	closeLost(old, routes)
	for _, rev := range s.revisions {
		rev.retire(!s.routed(rev), now)
	}
	return nil
}

// bindTag gives a tagged route its own URL, the one it had if it had one.
func (s *service) bindTag(r *route, old []*route) error {
	if r.tag == "" {
		return nil
	}
	for _, o := range old {
		if o.tag == r.tag && o.revision == r.revision {
			r.endpoint = o.endpoint
			return nil
		}
	}
	for _, o := range old {
		if o.tag == r.tag { // the tag moves: its host must be free before it is bound again
			o.endpoint.close()
		}
	}
	ep, err := s.cloud.openEndpoint(r.tag+"---"+s.host(), func() *revision { return r.revision })
	r.endpoint = ep
	return err
}

func closeLost(old, kept []*route) {
	for _, o := range old {
		lost := o.endpoint != nil
		for _, k := range kept {
			lost = lost && k.endpoint != o.endpoint
		}
		if lost {
			o.endpoint.close()
		}
	}
}

func (s *service) routed(rev *revision) bool {
	for _, r := range s.routes {
		if r.revision == rev {
			return true
		}
	}
	return false
}

// The conditions of a service: its Ready is the terminal one, the others are those of its two parts.
const (
	routesReady         = "RoutesReady"
	configurationsReady = "ConfigurationsReady"
)

// reconciling notes that the service is on its way; without a new revision, its configuration stays as it was.
func (s *service) reconciling(newRevision bool, now time.Time) {
	s.proto.Reconciling = true
	for _, kind := range []string{conditionReady, routesReady, configurationsReady} {
		if kind != configurationsReady || newRevision {
			s.setCondition(kind, &runpb.Condition{State: runpb.Condition_CONDITION_RECONCILING}, now)
		}
	}
}

// succeeded notes that the service has reached generation.
func (s *service) succeeded(generation int64, now time.Time) {
	s.proto.Reconciling = s.pending > 0
	s.proto.ObservedGeneration = max(s.proto.GetObservedGeneration(), generation)
	if generation != s.proto.GetGeneration() {
		return
	}
	for _, kind := range []string{conditionReady, routesReady, configurationsReady} {
		s.setCondition(kind, &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}, now)
	}
}

// failed ends an operation because rev cannot serve, which shows in the condition of the part that needs it.
// Traffic statuses, the latest ready revision and the observed generation stay as they were, as the API
// documents.
func (s *service) failed(op *operation, generation int64, rev *revision, part string, now time.Time) {
	s.pending--
	s.proto.Reconciling = s.pending > 0
	if generation == s.proto.GetGeneration() {
		for _, kind := range []string{conditionReady, routesReady, configurationsReady} {
			cond := &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}
			if kind == conditionReady || kind == part {
				cond.State, cond.Message = runpb.Condition_CONDITION_FAILED, rev.notReady()
				rev.setReason(cond)
			}
			s.setCondition(kind, cond, now)
		}
	}
	op.fail(codes.FailedPrecondition, rev.notReady())
}

func (s *service) setCondition(kind string, cond *runpb.Condition, now time.Time) {
	cond.Type, cond.LastTransitionTime = kind, timestamppb.New(now)
	if kind == conditionReady {
		s.proto.TerminalCondition = cond
		return
	}
	i := slices.IndexFunc(s.proto.GetConditions(), func(c *runpb.Condition) bool { return c.GetType() == kind })
	if i < 0 {
		s.proto.Conditions = append(s.proto.Conditions, cond)
		return
	}
	s.proto.Conditions[i] = cond
}
