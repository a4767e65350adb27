package fakegcp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// TouchRequest is a change of a service that somebody else makes: a deploy, a move of its traffic, both, or
// nothing but another etag.
type TouchRequest struct {
	Service string `json:"service"`
	By      string `json:"by,omitempty"`    // last modifier; another pipeline's account if left out
	Image   string `json:"image,omitempty"` // deploys it, by tag or digest
	// Revision is the name of the revision that Image makes; if left out, one that Cloud Run makes up.
	Revision string `json:"revision,omitempty"`
	// Traffic is the percent of each revision, "LATEST" included; left out, traffic stays as asked for.
	Traffic map[string]int `json:"traffic,omitempty"`
}

// Touch makes somebody else's change, under the rules that the API's callers are under. It does not wait for
// its end.
func (c *Cloud) Touch(t TouchRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	svc := c.services[t.Service]
	if svc == nil {
		return fmt.Errorf("service %q does not exist", t.Service)
	}
	update := &runpb.Service{Name: svc.proto.GetName(), Template: proto.CloneOf(svc.proto.GetTemplate())}
	mask := []string{"client"} // a field that changes nothing
	if t.Image != "" {
		update.Template.Containers[0].Image, update.Template.Revision = t.Image, t.Revision
		mask = append(mask, "template")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Traffic)) {
		target := &runpb.TrafficTarget{Type: byRevision, Revision: name, Percent: int32(t.Traffic[name])}
		if name == "LATEST" {
			target.Type, target.Revision = followLatest, ""
		}
		update.Traffic = append(update.Traffic, target)
	}
	if len(update.GetTraffic()) > 0 {
		mask = append(mask, "traffic")
	}
	by := author{account: cmp.Or(t.By, "ci@"+c.cfg.Project+".iam.gserviceaccount.com")}
	_, err := c.updateService(&runpb.UpdateServiceRequest{
		Service: update, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
	}, by, time.Now())
	if err != nil {
		return fmt.Errorf("touch %s: %w", t.Service, err)
	}
	c.notify()
	return nil
}
