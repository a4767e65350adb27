package incident

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// drain groups lines by templates, after He et al., "Drain: An Online Log Parsing Approach
// with Fixed Depth Tree", ICWS 2017, of depth 4: a line is compared with the templates of
// as many words that begin with the same two, and joins the most similar one.
type drain struct {
	Templates []*template `json:"templates,omitempty"`
	leaves    map[leaf][]*template
}

// template is the words that the lines of a group have in common.
type template struct {
	ID    string    `json:"id"` // does not change when the words do
	Leaf  [2]string `json:"leaf"`
	Words []string  `json:"words"`
}

type leaf struct {
	length        int
	first, second string
}

const (
	similar       = 0.5
	mostTemplates = 400
	mostInLeaf    = 50
	mostLeaves    = 100 // of lines with other beginnings, all are compared that are as long
)

// group returns the template of a line, and nil when it would be a new one and there is
// no more room.
func (d *drain) group(line []string) *template {
	if d.leaves == nil {
		d.plant()
	}
	if len(line) == 0 {
		return nil
	}
	at := d.leaf(line)
	if best := closest(d.leaves[at], line); best != nil {
		best.join(line)
		return best
	}
	if len(d.Templates) >= mostTemplates || len(d.leaves[at]) >= mostInLeaf {
		return nil
	}
	t := &template{ID: fingerprint(line...), Leaf: [2]string{at.first, at.second}, Words: withoutSecrets(line)}
	d.Templates = append(d.Templates, t)
	d.leaves[at] = append(d.leaves[at], t)
	return t
}

// withoutSecrets copies the words, with blanks for what may not be kept.
func withoutSecrets(line []string) []string {
	fine := strings.Fields(Redact(strings.Join(line, " ")))
	kept := make([]string, len(line))
	for i, word := range line {
		if kept[i] = blank; slices.Contains(fine, word) {
			kept[i] = strings.Clone(word) // and not all of the line it is cut from
		}
	}
	return kept
}

// plant builds the tree from the templates.
func (d *drain) plant() {
	d.leaves = map[leaf][]*template{}
	for _, t := range d.Templates {
		at := leaf{len(t.Words), t.Leaf[0], t.Leaf[1]}
		d.leaves[at] = append(d.leaves[at], t)
	}
}

func (d *drain) leaf(line []string) leaf {
	at := leaf{length: len(line), first: branch(line[0])}
	if len(line) > 1 {
		at.second = branch(line[1])
	}
	if _, grown := d.leaves[at]; !grown && len(d.leaves) >= mostLeaves {
		at.first, at.second = blank, blank
	}
	return at
}

// branch is a word as the tree goes by it: one with a mask in it may be any.
func branch(word string) string {
	if strings.Contains(word, "<") {
		return blank
	}
	return word
}

// closest is the most similar template, nil when none is similar enough. As in the paper
// a blank is no agreement; of two that agree as much the one with more blanks is taken.
func closest(templates []*template, line []string) *template {
	var best *template
	most, blanks := 0, 0
	for _, t := range templates {
		same, free := 0, 0
		for i, word := range t.Words {
			switch word {
			case blank:
				free++
			case line[i]:
				same++
			}
		}
		if same > most || same == most && free > blanks {
			best, most, blanks = t, same, free
		}
	}
	if float64(most) < similar*float64(len(line)) {
		return nil
	}
	return best
}

// join leaves blanks where the line differs.
func (t *template) join(line []string) {
	for i, word := range t.Words {
		if word != line[i] {
			t.Words[i] = blank
		}
	}
}

func (t *template) String() string { return strings.Join(t.Words, " ") }

// fingerprint names a group: the same parts give the same name, in all processes.
func fingerprint(parts ...string) string {
	h := fnv.New64a()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return strconv.FormatUint(h.Sum64(), 36)
}
