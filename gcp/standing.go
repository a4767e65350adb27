package gcp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/incident"
	"slipway/rollout"
)

// Standing implements incident.Cloud: it reads the service and its revisions. Back is what Rescue would go back to.
func (c *Cloud) Standing(ctx context.Context, of incident.Service) (incident.Standing, error) {
	s := watched(of)
	svc, all, err := c.withRevisions(ctx, s)
	if err != nil {
		return incident.Standing{}, err
	}
	standing := incident.Standing{Serving: serving(svc), NotReady: notReady(s, svc, all)}
	if back, _, err := wayBack(s, svc, all); err == nil { // else there is none
		standing.Back = back
	}
	if standing.Pinned = keptByOthers(s, svc, all); standing.Pinned != "" {
		standing.PinnedBy = cmp.Or(svc.GetLastModifier(), "an unknown account")
		if at := svc.GetUpdateTime(); at.IsValid() {
			standing.PinnedAt = at.AsTime()
		}
	}
	return standing, nil
}

func watched(s incident.Service) rollout.Service {
	return rollout.Service{Name: s.Target.Service, CloudRun: s.CloudRun, Project: s.Project, Region: s.Region}
}

// notReady says why no revision of a service can serve; "" if one can, or if that is not known. It is so when
// each revision with traffic says that it failed, or when there never was one that got any and the service
// itself says so. A revision that failed while another has the traffic is no reason, nor is one that starts.
func notReady(s rollout.Service, svc *runpb.Service, all []*runpb.Revision) string {
	names := slices.DeleteFunc(byShare(servingShares(svc)), func(name string) bool { return name == "" })
	for _, name := range names {
		if at := indexOf(all, name); at < 0 || !failedToStart(all[at]) {
			return ""
		}
	}
	terminal := svc.GetTerminalCondition()
	if len(names) == 0 {
		if svc.GetLatestReadyRevision() != "" || !settled(svc) || terminal.GetState() != runpb.Condition_CONDITION_FAILED {
			return ""
		}
		names = []string{short(svc.GetLatestCreatedRevision())}
	}
	conditions := []*runpb.Condition{terminal}
	if at := indexOf(all, names[0]); at >= 0 {
		conditions = all[at].GetConditions()
	}
	return fmt.Sprintf("No revision of %s can serve: %s is not ready%s.", s.CloudRun, orNothing(names[0]), after(": ", whyNot(conditions)))
}

// failedToStart reports whether a revision says that it is not ready, and not only that it does not know.
func failedToStart(rev *runpb.Revision) bool {
	return slices.ContainsFunc(rev.GetConditions(), func(c *runpb.Condition) bool {
		return c.GetType() == "Ready" && c.GetState() == runpb.Condition_CONDITION_FAILED
	})
}

// whyNot is what conditions say of a failure, without what every one of them begins with.
func whyNot(conditions []*runpb.Condition) string {
	text := message(conditions, nil)
	if _, why, found := strings.Cut(text, "is not ready and cannot serve traffic. "); found {
		text = why
	}
	return strings.TrimRight(firstSentence(text), ".")
}

// keptByOthers is the revision that has all traffic by its name, and not because it is the latest, while a newer
// one is ready; "" if there is none. It is also "" while the service changes, and where Slipway did it: it noted
// so, or its account, which is known by the revisions that it made, was the last to change the service.
func keptByOthers(s rollout.Service, svc *runpb.Service, all []*runpb.Revision) string {
	wanted, shown := asked(svc.GetTraffic()), proven(svc)
	name := kept(shown)
	if name == "" || !settled(svc) || !maps.Equal(wanted.percent, shown.percent) || svc.GetAnnotations()[keptNote] == name {
		return ""
	}
	at, newest := indexOf(all, name), indexOf(all, short(svc.GetLatestReadyRevision()))
	if newest < 0 || newest >= at || !startable(all[newest].GetConditions()) {
		return ""
	}
	ours := func(r *runpb.Revision) bool {
		return r.GetCreator() == svc.GetLastModifier() && r.GetCreator() != "" && madeHere(r, s)
	}
	if slices.ContainsFunc(all, ours) {
		return ""
	}
	return name
}

var _ incident.Cloud = (*Cloud)(nil)
