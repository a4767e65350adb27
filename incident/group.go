package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	mostGroups    = 200
	mostRevisions = 16
	// fresh is how long a revision's errors are remembered, and what is absent from them is new.
	fresh = 7 * 24 * time.Hour
	// mostKnown are groups that had to give their place up, and would not be new.
	mostKnown = 1000
	// mostWaiting are errors that found no place, of which the next one like it finds one.
	mostWaiting = 1024
)

// Group is errors that are like one another. Nothing in it is as it was logged: what may
// be secret is masked.
type Group struct {
	Key     string    `json:"key"`   // its fingerprint, the same in each process
	Title   string    `json:"title"` // ModuleNotFoundError: No module named 'auth_service'
	Frame   string    `json:"frame,omitempty"`
	Example string    `json:"example"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`         // since the alarm's beginning, or all of them
	New     string    `json:"new,omitempty"` // the revision that brought it; "": no revision is known to
}

// group is a Group in the making.
type group struct {
	Group
	Tally     tally        `json:"tally"`
	During    int64        `json:"during"`          // since groups.Since
	Known     bool         `json:"known,omitempty"` // from before it had this place
	Revisions []appearance `json:"revisions"`
}

// appearance is when a revision was seen, or an error in it.
type appearance struct {
	Revision string    `json:"revision"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// appear notes a revision. Of too many the one that was not seen for longest is forgotten.
func appear(list []appearance, revision string, at time.Time) []appearance {
	if i := slices.IndexFunc(list, func(a appearance) bool { return a.Revision == revision }); i >= 0 {
		list[i].First, list[i].Last = earlier(list[i].First, at), later(list[i].Last, at)
		return list
	}
	if len(list) >= mostRevisions {
		oldest := slices.MinFunc(list, func(a, b appearance) int { return a.Last.Compare(b.Last) })
		list = slices.DeleteFunc(list, func(a appearance) bool { return a == oldest })
	}
	return append(list, appearance{revision, at, at})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// groups are a service's errors. Their number is bounded: what found no place is counted.
type groups struct {
	Groups    []*group     `json:"groups,omitempty"`
	Drain     drain        `json:"drain"`
	Revisions []appearance `json:"revisions,omitempty"` // all that wrote anything, errors or not
	Since     time.Time    `json:"since,omitzero"`      // of the alarm; zero: there is none
	Dropped   int64        `json:"dropped,omitempty"`   // errors that are in no group, or no longer
	Known     []string     `json:"known,omitempty"`     // the groups that gave their place up
	byKey     map[string]*group
	waiting   [mostWaiting]string
}

// add puts an error into its group.
func (g *groups) add(e *Entry) {
	key, t := g.fingerprint(e.Text)
	if key == "" {
		g.Dropped++
		return
	}
	of := g.find(key)
	if of == nil {
		of = g.create(key, t, e)
	}
	if of == nil {
		g.Dropped++
		return
	}
	of.First, of.Last = earlier(of.First, e.At), later(of.Last, e.At)
	of.Tally.add(slice(e.At))
	of.Revisions = appear(of.Revisions, e.Revision, e.At)
	if !g.Since.IsZero() && !e.At.Before(g.Since) {
		of.During++
	}
}

// fingerprint is an error's group: its type and the program's own frame, else the template
// of what it says. "": no room for another template.
func (g *groups) fingerprint(text string) (string, trace) {
	t, ok := parseTrace(text)
	if ok && t.frame != "" {
		return fingerprint(t.kind, t.frame, t.identity()), t
	}
	if ok && t.identifies() {
		return fingerprint(t.kind, t.identity()), t
	}
	said := text
	if ok {
		said = t.kind + ": " + t.message
	}
	of := g.Drain.group(words(said))
	if of == nil {
		return "", t
	}
	return of.ID, t
}

// identity is the part of the message that tells one error of a type from another.
func (t trace) identity() string {
	if t.identifies() {
		return cut(t.message, mostWord)
	}
	return ""
}

func (g *groups) find(key string) *group {
	if g.byKey == nil {
		g.byKey = map[string]*group{}
		for _, of := range g.Groups {
			g.byKey[of.Key] = of
		}
	}
	return g.byKey[key]
}

// create makes a group. When all places are taken an error has to come twice for one: so a
// flood of errors that are all different drives none out, and a frequent one always gets in.
func (g *groups) create(key string, t trace, e *Entry) *group {
	if len(g.Groups) >= mostGroups {
		if !g.again(key) {
			return nil
		}
		g.makeRoom(e.At)
	}
	of := &group{Group: Group{Key: key, Title: t.title(e.Text), Frame: Redact(t.frame), Example: example(e.Text), First: e.At, Last: e.At}}
	of.Known = slices.Contains(g.Known, key)
	g.Groups = append(g.Groups, of)
	g.byKey[key] = of
	return of
}

// again reports whether a group was refused before, as far as that is remembered.
func (g *groups) again(key string) bool {
	place := 0
	for i := range len(key) {
		place = (place*31 + int(key[i])) % mostWaiting
	}
	was := g.waiting[place]
	g.waiting[place] = key
	return was == key
}

// makeRoom drops a group that was not seen for a week, else the one with the fewest errors.
func (g *groups) makeRoom(now time.Time) {
	stale := func(of *group) int {
		if now.Sub(of.Last) >= fresh {
			return 0
		}
		return 1
	}
	least := slices.MinFunc(g.Groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(stale(a), stale(b)), cmp.Compare(a.Tally.total, b.Tally.total), a.Last.Compare(b.Last))
	})
	delete(g.byKey, least.Key)
	g.Groups = slices.DeleteFunc(g.Groups, func(of *group) bool { return of == least })
	g.Dropped += least.Tally.total
	if g.Known = append(g.Known, least.Key); len(g.Known) > mostKnown {
		g.Known = slices.Delete(g.Known, 0, 1)
	}
}

const mostTitle = 150 // bytes

// title says in a line what the error is.
func (t trace) title(text string) string {
	said := firstLine(text)
	if t.kind != "" {
		said = t.kind
		if t.message != "" {
			said += ": " + t.message
		}
	}
	return cut(Redact(cut(said, 2*mostTitle)), mostTitle)
}

// alarm counts from a time on; zero: no longer.
func (g *groups) alarm(since time.Time) {
	if g.Since.Equal(since) {
		return
	}
	g.Since = since
	for _, of := range g.Groups {
		if of.During = 0; !since.IsZero() {
			of.During = of.Tally.since(slice(since))
		}
	}
}

// top are the n groups with the most errors: since the alarm began, while there is one, and before a slice, up to
// which the requests are judged that are told beside them.
func (g *groups) top(n int, until int64) []Group {
	list := make([]Group, 0, len(g.Groups))
	for _, of := range g.Groups {
		shown := of.Group
		if shown.Count = of.Tally.total; !g.Since.IsZero() {
			shown.Count = of.During - of.Tally.since(until)
		}
		if shown.Count > 0 {
			shown.New = g.broughtBy(of)
			list = append(list, shown)
		}
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.First.Compare(b.First), strings.Compare(a.Key, b.Key))
	})
	return slices.Clone(list[:min(n, len(list))])
}

// broughtBy is the one revision with the error, if others were seen before it and had it
// not in the last seven days.
func (g *groups) broughtBy(of *group) string {
	if of.Known {
		return ""
	}
	newest := slices.MaxFunc(of.Revisions, func(a, b appearance) int { return a.First.Compare(b.First) })
	for _, a := range of.Revisions {
		if a.Revision != newest.Revision && newest.First.Sub(a.Last) < fresh {
			return ""
		}
	}
	began := newest.First
	if i := slices.IndexFunc(g.Revisions, func(a appearance) bool { return a.Revision == newest.Revision }); i >= 0 {
		began = g.Revisions[i].First
	}
	for _, a := range g.Revisions {
		if a.Revision != newest.Revision && a.First.Before(began) && newest.First.Sub(a.Last) < fresh {
			return newest.Revision
		}
	}
	return ""
}

// trim forgets what came after a slice.
func (g *groups) trim(last int64) groups {
	kept := *g
	kept.byKey, kept.Groups, kept.waiting = nil, nil, [mostWaiting]string{}
	kept.Drain = drain{Templates: g.Drain.Templates}
	for _, of := range g.Groups {
		copied := *of
		copied.Tally = of.Tally.trim(last)
		copied.During = max(0, of.During-(of.Tally.total-copied.Tally.total))
		if copied.Tally.total > 0 {
			kept.Groups = append(kept.Groups, &copied)
		}
	}
	return kept
}
