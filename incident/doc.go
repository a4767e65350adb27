// Package incident finds out from log entries that a service has begun to fail, and
// that it is well again. Entries become counts by slices of ten seconds and groups of
// like errors ([Watch]); a detector judges the counts (package verdict), and what it
// says is read off ([Reading]); an [Incident] makes of it what people are told, and
// when. It is pure: entries and the time come in, nothing goes out by itself, so that
// a replay of old entries ([Replay]) says what would have been said.
package incident
