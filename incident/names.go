package incident

import "hash/fnv"

// names are the entries of the slices that are open, by which copies are known. What is
// older than first has no place any more.
type names struct {
	first int64
	seen  [places]map[uint64]struct{}
}

func newNames() names {
	var n names
	for i := range n.seen {
		n.seen[i] = map[uint64]struct{}{}
	}
	return n
}

// advance forgets the slices before one.
func (n *names) advance(first int64) {
	for n.first = max(n.first, first-places); n.first < first; n.first++ {
		clear(n.seen[n.first%places])
	}
}

// note reports whether an entry of a slice that is open is a new one, and remembers it.
func (n *names) note(at int64, e *Entry) bool {
	seen, name := n.seen[at%places], nameOf(e)
	_, copied := seen[name]
	seen[name] = struct{}{}
	return !copied
}

// nameOf is the entry's name: Cloud Logging takes two entries with the same timestamp and
// insertId in a project for one.
func nameOf(e *Entry) uint64 {
	h := fnv.New64a()
	var at [8]byte
	for i, nanos := 0, e.At.UnixNano(); i < len(at); i++ {
		at[i] = byte(nanos >> (8 * i))
	}
	h.Write(at[:])
	h.Write([]byte(e.ID))
	return h.Sum64()
}
