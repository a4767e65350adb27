package fakegcp

import "slices"

// IgnorePreconditions lets through, from now on, what an etag or the name of a revision should refuse: an
// update with an old etag is applied, and a second revision of a name takes the place of the first. No
// Cloud Run is like that. It is for controls: a test that finds no doubled effect in a cloud that prevents
// them has to find some in one that does not.
func (c *Cloud) IgnorePreconditions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unguarded = true
}

// outdated reports whether an update of the service is refused for its etag.
func (s *service) outdated(etag string) bool {
	return etag != "" && etag != s.proto.GetEtag() && !s.cloud.unguarded
}

// displace forgets the revision whose name a new one has taken, which only happens to who is unguarded.
func (s *service) displace(name string) {
	s.revisions = slices.DeleteFunc(s.revisions, func(r *revision) bool { return r.name == name })
}
