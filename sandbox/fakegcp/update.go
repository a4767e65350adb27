package fakegcp

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	followLatest = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	byRevision   = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION

	longestRevisionName = 63
	longestTaggedHost   = 46 // service and tag together, https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration#tags
)

var dnsLabel = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// updateService is UpdateService: everything wrong with the request itself is refused here, at once; what
// depends on images and containers shows in the operation.
func (c *Cloud) updateService(req *runpb.UpdateServiceRequest, by author, now time.Time) (*operation, error) {
	svc, created, err := c.serviceToUpdate(req, now)
	if err != nil {
		return nil, err
	}
	if created {
		defer func() {
			if c.services[svc.name] != svc { // refused or only validated
				svc.closeEndpoints()
			}
		}()
	}
	if by.account == "" {
		by.account = c.account()
		if err := c.mayActAs(svc, req); err != nil {
			return nil, err
		}
	}
	if etag := req.GetService().GetEtag(); svc.outdated(etag) {
		return nil, status.Errorf(codes.Aborted, "Conflict for resource '%s': version '%s' was specified but current version is '%s'.",
			svc.name, etag, svc.proto.GetEtag())
	}
	next, err := merge(svc.proto, req.GetService(), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	newRevision, err := svc.revisionFor(next, req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	if err := svc.checkTraffic(next, newRevision); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		op := c.newOperation(next.GetName(), func() proto.Message { return next })
		op.succeed(next)
		return op, nil
	}
	c.services[svc.name] = svc
	next.LastModifier = by.account
	return svc.apply(next, newRevision, by, now), nil
}

// author is who asks for an update, and what a fault makes of it.
type author struct {
	account    string        // "": the one whose credentials the API's callers have
	neverEnds  bool          // Cloud Run never ends the update
	crashAfter time.Duration // the new revision exits that long after it is ready; 0: as its image does
}

// account is who the callers of the API are.
func (c *Cloud) account() string { return "slipway@" + c.cfg.Project + ".iam.gserviceaccount.com" }

const actAs = "iam.serviceaccounts.actAs"

// mayActAs refuses a new revision to callers without the right to act as the account it runs as.
func (c *Cloud) mayActAs(svc *service, req *runpb.UpdateServiceRequest) error {
	if !c.denied(actAs) || !touchesTemplate(req.GetUpdateMask().GetPaths()) {
		return nil
	}
	account := runsAs(svc.proto.GetTemplate().GetServiceAccount())
	return status.Errorf(codes.PermissionDenied, "Permission '%s' denied on service account %s (or it may not exist).", actAs, account)
}

func (c *Cloud) serviceToUpdate(req *runpb.UpdateServiceRequest, now time.Time) (svc *service, created bool, err error) {
	name := req.GetService().GetName()
	svc, err = c.service(name)
	if status.Code(err) != codes.NotFound || !req.GetAllowMissing() {
		return svc, false, err
	}
	const create = "run.services.create"
	if c.denied(create) {
		return nil, false, missing(create)
	}
	short, err := c.short(name, "services")
	if err != nil {
		return nil, false, err
	}
	if !dnsLabel.MatchString(short) {
		return nil, false, status.Errorf(codes.InvalidArgument, "service name %q: use lowercase letters, digits and hyphens", short)
	}
	svc, err = c.newService(short, now)
	if err != nil {
		return nil, false, status.Error(codes.Internal, err.Error())
	}
	svc.generatedTo = now
	return svc, true, nil
}

// inputs are the fields of a service that a client may set.
var inputs = []string{
	"description", "labels", "annotations", "client", "client_version", "ingress", "launch_stage", "binary_authorization",
	"template", "traffic", "scaling", "invoker_iam_disabled", "default_uri_disabled", "custom_audiences",
}

// merge returns current with the masked fields of update; without a mask, with all that a client may set.
func merge(current, update *runpb.Service, mask []string) (*runpb.Service, error) {
	next := proto.CloneOf(current)
	if len(mask) == 0 || slices.Equal(mask, []string{"*"}) {
		mask = inputs
	}
	for _, path := range mask {
		first, _, _ := strings.Cut(path, ".")
		if !slices.Contains(inputs, first) {
			return nil, status.Errorf(codes.InvalidArgument, "update_mask: %q is no field that can be set; write paths as in %q", path, "template.service_account")
		}
		if !copyField(next.ProtoReflect(), proto.CloneOf(update).ProtoReflect(), strings.Split(path, ".")) {
			return nil, status.Errorf(codes.InvalidArgument, "update_mask: there is no field %q", path)
		}
	}
	if len(next.GetTemplate().GetContainers()) == 0 || next.GetTemplate().GetContainers()[0].GetImage() == "" {
		return nil, status.Error(codes.InvalidArgument, "template.containers: a container with an image is required")
	}
	if err := checkLabels(next.GetLabels(), next.GetAnnotations(), next.GetTemplate().GetLabels(), next.GetTemplate().GetAnnotations()); err != nil {
		return nil, err
	}
	return next, nil
}

// copyField sets the field at path in dst to its value in src, and reports whether there is such a field.
func copyField(dst, src protoreflect.Message, path []string) bool {
	field := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if field == nil {
		return false
	}
	if len(path) > 1 {
		if field.Message() == nil || field.IsList() || field.IsMap() {
			return false
		}
		return copyField(dst.Mutable(field).Message(), src.Get(field).Message(), path[1:])
	}
	if src.Has(field) {
		dst.Set(field, src.Get(field))
	} else {
		dst.Clear(field)
	}
	return true
}

func checkLabels(maps ...map[string]string) error {
	reserved := []string{"run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"}
	for _, m := range maps {
		for key := range m {
			namespace, _, _ := strings.Cut(key, "/")
			if slices.Contains(reserved, namespace) {
				return status.Errorf(codes.InvalidArgument, "label or annotation %q: the v2 API has a field for it", key)
			}
		}
	}
	return nil
}

// revisionFor returns the name of the revision that the update creates; empty if it creates none.
func (s *service) revisionFor(next *runpb.Service, mask []string) (string, error) {
	if !touchesTemplate(mask) {
		return "", nil
	}
	name := next.GetTemplate().GetRevision()
	if name != "" {
		return name, s.checkRevisionName(name)
	}
	if proto.Equal(next.GetTemplate(), s.proto.GetTemplate()) && len(s.revisions) > 0 {
		return "", nil
	}
	return fmt.Sprintf("%s-%05d-%s", s.name, s.proto.GetGeneration()+1, s.cloud.suffix(3)), nil
}

func touchesTemplate(mask []string) bool {
	return len(mask) == 0 || slices.ContainsFunc(mask, func(p string) bool {
		return p == "*" || p == "template" || strings.HasPrefix(p, "template.")
	})
}

func (s *service) checkRevisionName(name string) error {
	switch {
	case !strings.HasPrefix(name, s.name+"-"):
		return status.Errorf(codes.InvalidArgument, "template.revision %q: must start with %q", name, s.name+"-")
	case len(name) > longestRevisionName || !dnsLabel.MatchString(name):
		return status.Errorf(codes.InvalidArgument, "template.revision %q: at most %d lowercase letters, digits and hyphens", name, longestRevisionName)
	case s.revision(name) != nil && !s.cloud.unguarded:
		return status.Errorf(codes.AlreadyExists, "Revision named '%s' with different configuration already exists.", name)
	}
	return nil
}

// checkTraffic refuses targets that cannot be; no target at all means the latest revision, as documented.
func (s *service) checkTraffic(next *runpb.Service, newRevision string) error {
	if len(next.GetTraffic()) == 0 {
		next.Traffic = []*runpb.TrafficTarget{{Type: followLatest, Percent: 100}}
	}
	sum, tags := int32(0), map[string]bool{}
	for i, target := range next.GetTraffic() {
		if err := s.checkTarget(target, newRevision); err != nil {
			return status.Errorf(codes.InvalidArgument, "traffic[%d]: %v", i, err)
		}
		if tags[target.GetTag()] {
			return status.Errorf(codes.InvalidArgument, "traffic[%d]: tag %q is used twice", i, target.GetTag())
		}
		tags[target.GetTag()] = target.GetTag() != ""
		sum += target.GetPercent()
	}
	if sum != 100 {
		return status.Errorf(codes.InvalidArgument, "traffic: percentages sum to %d, want 100", sum)
	}
	return nil
}

func (s *service) checkTarget(target *runpb.TrafficTarget, newRevision string) error {
	name := target.GetRevision()
	switch target.GetType() {
	case followLatest:
		if name != "" {
			return fmt.Errorf("a target of type LATEST names no revision, got %q", name)
		}
	case byRevision:
		if name == "" || (name != newRevision && s.revision(name) == nil) {
			return fmt.Errorf("revision %q does not exist", name)
		}
	default:
		return fmt.Errorf("type is required")
	}
	if target.GetPercent() < 0 || target.GetPercent() > 100 {
		return fmt.Errorf("percent %d is not within 0 to 100", target.GetPercent())
	}
	tag := target.GetTag()
	if tag != "" && (!dnsLabel.MatchString(tag) || len(tag)+len(s.name) > longestTaggedHost) {
		return fmt.Errorf("tag %q: lowercase letters, digits and hyphens, with the service's name at most %d", tag, longestTaggedHost)
	}
	return nil
}

// apply makes next the wanted state and starts the operation that brings the service there.
func (s *service) apply(next *runpb.Service, newRevision string, by author, now time.Time) *operation {
	s.catchUp(now)
	next.Generation = s.proto.GetGeneration() + 1
	next.Etag = s.cloud.etag()
	next.UpdateTime = timestamppb.New(now)
	s.proto = next
	s.reconciling(newRevision != "", now)
	op := s.cloud.newOperation(next.GetName(), func() proto.Message { return s.proto })
	op.neverEnds = by.neverEnds
	var rev *revision
	if newRevision != "" {
		rev = s.cloud.newRevision(s, newRevision, next.GetTemplate(), now)
		rev.proto.Generation = int64(len(s.revisions)) + 1
		rev.behavior.CrashAfter = cmp.Or(by.crashAfter, rev.behavior.CrashAfter)
		s.displace(newRevision)
		s.add(rev)
	}
	s.reconcile(op, rev, next.GetGeneration())
	return op
}
