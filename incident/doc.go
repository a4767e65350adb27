// Package incident finds out that a service has begun to fail while nobody deploys, and
// that it is well again. Log entries become counts by slices of ten seconds and groups of
// like errors ([Watch]); a detector judges the counts (package verdict), and what it says
// is read off ([Reading]); an [Incident] makes of it what people are told, and when. So
// far it is pure: entries and the time come in, nothing goes out by itself, and a replay
// of old entries ([Replay]) says what would have been said.
//
// [Monitor] does it for real, through the ports in ports.go. Of the replicas one has the
// watch over a project at a time; the [Book] of incidents is shared.
package incident
