package fakegcp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	lropb "cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const firstGeneration = 41 // a service that AddService makes has been deployed this often

// ServiceSpec is a service as it stands when the simulation begins.
type ServiceSpec struct {
	Name           string
	Image          string  // reference of the serving revision's image, by tag or digest
	RPS            float64 // requests a second, also for the 15 minutes of history
	ServiceAccount string
	Template       *runpb.RevisionTemplate // further settings of the template; nil for the usual ones
	Revision       string                  // the serving revision; NAME-00041-abc if left out
	Revisions      []RevisionSpec          // earlier ones, oldest first
	Took           time.Duration           // how long ago the serving revision took over from the last of them; 0: before the history
	Pinned         bool                    // traffic names the revision instead of following LATEST
}

// RevisionSpec is an earlier revision that serves no traffic.
type RevisionSpec struct{ Name, Image string }

// service is one service. Its fields belong to the Cloud's lock.
type service struct {
	cloud     *Cloud
	name      string // short
	proto     *runpb.Service
	revisions []*revision // oldest first
	routes    []*route    // what is served, as the traffic statuses say
	endpoint  *endpoint
	pending   int // operations under way

	traffic
}

// AddService puts a service into the cloud: its serving revision gets all traffic, and the logs hold the
// requests of the past 15 minutes.
func (c *Cloud) AddService(spec ServiceSpec) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.services[spec.Name] != nil {
		return fmt.Errorf("service %q is there already", spec.Name)
	}
	now := time.Now()
	svc, err := c.newService(spec.Name, now)
	if err != nil {
		return err
	}
	for _, earlier := range spec.Revisions {
		rev := c.newRevision(svc, earlier.Name, spec.template(earlier.Image), now.Add(-24*time.Hour))
		rev.outcome = ready
		rev.setConditions(runpb.Condition_CONDITION_SUCCEEDED, now)
		svc.revisions = append(svc.revisions, rev)
	}
	if spec.Revision == "" {
		spec.Revision = fmt.Sprintf("%s-%05d-abc", spec.Name, firstGeneration)
	}
	svc.proto.Template = spec.template(spec.Image)
	svc.proto.Generation = firstGeneration
	rev := c.newRevision(svc, spec.Revision, svc.proto.GetTemplate(), now.Add(-24*time.Hour))
	if rev.missing {
		svc.closeEndpoints()
		return fmt.Errorf("service %q: image %q is not in the registry; add it with AddImage", spec.Name, spec.Image)
	}
	rev.outcome = ready
	rev.setConditions(runpb.Condition_CONDITION_SUCCEEDED, now)
	svc.add(rev)
	svc.proto.Traffic = []*runpb.TrafficTarget{{Type: followLatest, Percent: 100}}
	if spec.Pinned {
		svc.proto.Traffic = []*runpb.TrafficTarget{{Type: byRevision, Revision: rev.name, Percent: 100}}
	}
	svc.proto.LatestReadyRevision = rev.proto.GetName()
	if err := svc.serve(now); err != nil {
		svc.closeEndpoints()
		return err
	}
	svc.succeeded(svc.proto.GetGeneration(), now)
	svc.rps = spec.RPS
	svc.generatedTo = now
	c.services[svc.name] = svc
	svc.remember(spec.Took, now)
	c.notify()
	return nil
}

// remember makes up the requests of the time before now, of which the serving revision had those since it took over.
func (s *service) remember(took time.Duration, now time.Time) {
	began := now.Add(-historySpan)
	if n := len(s.revisions); took > 0 && n > 1 {
		serving := s.routes
		s.routes = []*route{{revision: s.revisions[n-2], percent: 100}}
		s.generate(began, now.Add(-took))
		s.routes, began = serving, now.Add(-took)
	}
	s.generate(began, now)
}

func (s ServiceSpec) template(image string) *runpb.RevisionTemplate {
	out := &runpb.RevisionTemplate{}
	if s.Template != nil {
		out = proto.CloneOf(s.Template)
	}
	if len(out.GetContainers()) == 0 {
		out.Containers = []*runpb.Container{{
			Name:  s.Name + "-1",
			Ports: []*runpb.ContainerPort{{Name: "http1", ContainerPort: 8080}},
			Resources: &runpb.ResourceRequirements{
				Limits: map[string]string{"cpu": "1000m", "memory": "512Mi"}, CpuIdle: true, StartupCpuBoost: true,
			},
		}}
	}
	out.Containers[0].Image = image
	if s.ServiceAccount != "" {
		out.ServiceAccount = s.ServiceAccount
	}
	if out.GetTimeout() == nil {
		out.Timeout = durationpb.New(5 * time.Minute)
	}
	if out.GetMaxInstanceRequestConcurrency() == 0 {
		out.MaxInstanceRequestConcurrency = 80
	}
	return out
}

func (c *Cloud) newService(name string, now time.Time) (*service, error) {
	svc := &service{cloud: c, name: name, proto: &runpb.Service{
		Name: c.parent() + "/services/" + name, Uid: c.uid(), Etag: c.etag(),
		CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now), Creator: c.account(), LastModifier: c.account(),
		Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
	}}
	svc.traffic = newTraffic(c.hash(name))
	host := svc.host()
	ep, err := c.openEndpoint(host, svc.pick)
	if err != nil {
		return nil, fmt.Errorf("service %q: listening at %s: %w", name, host, err)
	}
	svc.endpoint = ep
	svc.proto.Uri, svc.proto.Urls = ep.base, []string{ep.base}
	return svc, nil
}

// host is the service's host name in the shape that Cloud Run gives it.
func (s *service) host() string {
	return fmt.Sprintf("%s-%010x-uc.a.run.app", s.name, s.cloud.hash(s.name)&0xffffffffff)
}

func (s *service) add(rev *revision) {
	s.revisions = append(s.revisions, rev)
	s.proto.LatestCreatedRevision = rev.proto.GetName()
}

func (s *service) revision(short string) *revision {
	i := slices.IndexFunc(s.revisions, func(r *revision) bool { return r.name == short })
	if i < 0 {
		return nil
	}
	return s.revisions[i]
}

func (s *service) latestCreated() *revision {
	return s.revision(lastPart(s.proto.GetLatestCreatedRevision()))
}

type servicesServer struct {
	runpb.UnimplementedServicesServer
	cloud *Cloud
}

func (s servicesServer) GetService(_ context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	svc, err := s.cloud.service(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(svc.proto), nil
}

func (s servicesServer) ListServices(_ context.Context, req *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	if req.GetParent() != s.cloud.parent() {
		return nil, s.cloud.noSuchPlace(req.GetParent())
	}
	var all []*runpb.Service
	for _, svc := range sorted(s.cloud.services) {
		all = append(all, proto.CloneOf(svc.proto))
	}
	page, next, err := paged(all, req.GetPageSize(), req.GetPageToken())
	return &runpb.ListServicesResponse{Services: page, NextPageToken: next}, err
}

func (s servicesServer) UpdateService(ctx context.Context, req *runpb.UpdateServiceRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	op, err := s.cloud.updateService(req, authorOf(ctx), time.Now())
	if err != nil {
		return nil, err
	}
	return op.proto(), nil
}

// TestIamPermissions returns what is granted; for a resource that does not exist that is nothing, no error.
func (s servicesServer) TestIamPermissions(_ context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	if _, err := s.cloud.service(req.GetResource()); err != nil {
		return &iampb.TestIamPermissionsResponse{}, nil
	}
	return s.cloud.granted(req.GetPermissions()), nil
}

func (c *Cloud) granted(permissions []string) *iampb.TestIamPermissionsResponse {
	out := &iampb.TestIamPermissionsResponse{}
	for _, p := range permissions {
		if !c.denied(p) {
			out.Permissions = append(out.Permissions, p)
		}
	}
	return out
}

// service finds a service by its full name.
func (c *Cloud) service(full string) (*service, error) {
	short, err := c.short(full, "services")
	if err != nil {
		return nil, err
	}
	if c.services[short] == nil {
		return nil, c.notFound("SERVICE", short)
	}
	return c.services[short], nil
}

// short returns the last part of a full name of the given collection.
func (c *Cloud) short(full, collection string) (string, error) {
	rest, ok := strings.CutPrefix(full, c.parent()+"/")
	if !ok {
		return "", c.noSuchPlace(full)
	}
	got, short, _ := strings.Cut(rest, "/")
	if got != collection || short == "" || strings.Contains(short, "/") {
		return "", status.Errorf(codes.InvalidArgument, "name %q: want %s/%s/NAME", full, c.parent(), collection)
	}
	return short, nil
}

func (c *Cloud) notFound(kind, short string) error {
	return status.Errorf(codes.NotFound, "Resource '%s' of kind '%s' in region '%s' in project '%s' does not exist.",
		short, kind, c.cfg.Region, c.cfg.Project)
}

func (c *Cloud) noSuchPlace(full string) error {
	return status.Errorf(codes.NotFound, "%q: this cloud is %s", full, c.parent())
}

func lastPart(full string) string { return full[strings.LastIndexByte(full, '/')+1:] }

func sorted[T any](m map[string]T) []T {
	var out []T
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[key])
	}
	return out
}

// paged cuts one page out of a list; the token is the number of items that came before.
func paged[T any](all []T, size int32, token string) (page []T, next string, err error) {
	const largest = 100
	from := 0
	if token != "" {
		if _, err := fmt.Sscanf(token, "after-%d", &from); err != nil || from < 0 || from > len(all) {
			return nil, "", status.Errorf(codes.InvalidArgument, "page_token %q is not one of this list", token)
		}
	}
	if size <= 0 || size > largest {
		size = largest
	}
	to := min(from+int(size), len(all))
	if to < len(all) {
		next = fmt.Sprintf("after-%d", to)
	}
	return all[from:to], next, nil
}
