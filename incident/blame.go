package incident

import "slices"

// blame is the requests of a revision that failed, or were slow.
type blame struct {
	Revision string `json:"revision"`
	Tally    tally  `json:"tally"`
}

// blames are those of a service, by which it is told which revision is at fault: while
// traffic moves, or has moved back, it is not the newest.
type blames []*blame

const mostBlamed = 8

func (b *blames) note(revision string, slice, n int64) {
	at := slices.IndexFunc(*b, func(of *blame) bool { return of.Revision == revision })
	if at < 0 {
		if len(*b) >= mostBlamed {
			oldest := slices.MinFunc(*b, func(a, b *blame) int { return int(a.Tally.newest - b.Tally.newest) })
			*b = slices.DeleteFunc(*b, func(of *blame) bool { return of == oldest })
		}
		at = len(*b)
		*b = append(*b, &blame{Revision: revision})
	}
	(*b)[at].Tally.addAll(slice, n)
}

// most is the revision with the most of them since a slice; "": none has any.
func (b blames) most(since int64) string {
	revision, most := "", int64(0)
	for _, of := range b {
		if n := of.Tally.since(since); n > most {
			revision, most = of.Revision, n
		}
	}
	return revision
}

// trim forgets what came after a slice.
func (b blames) trim(last int64) blames {
	var kept blames
	for _, of := range b {
		if t := of.Tally.trim(last); t.total > 0 {
			kept = append(kept, &blame{of.Revision, t})
		}
	}
	return kept
}
