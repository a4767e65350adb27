package commands

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Command is what a text means. Which fields are filled in depends on the verb.
type Command struct {
	Verb   Verb
	Target string // as typed: staging, or staging/backend; "" with Status: everything
	What   string // a tag or a digest, of a rollback a revision, of an incident its ID; "": what the target's own state says
	Reason string
	For    time.Duration // how long a lock or a silence lasts, or how far back a graph begins; 0: nothing was said
}

// Verb is the first word of a command, or Deploy when that is a target.
type Verb string

// The verbs that this version carries out.
const (
	Deploy   Verb = "deploy"
	Plan     Verb = "plan"
	Status   Verb = "status"
	Graph    Verb = "graph"
	History  Verb = "history"
	Abort    Verb = "abort"
	Pause    Verb = "pause"
	Resume   Verb = "resume"
	Retry    Verb = "retry"
	Rollback Verb = "rollback"
	Lock     Verb = "lock"
	Unlock   Verb = "unlock"
	Queue    Verb = "queue"
	Unqueue  Verb = "unqueue"
	Help     Verb = "help"

	ListIncidents Verb = "incidents"
	Acknowledge   Verb = "ack"
	Silence       Verb = "silence"
	Resolve       Verb = "resolve"
)

// typed are the words that begin a command. A word among them is never read as a target or as a tag,
// whether this version carries it out or not: "/deploy rollback staging" must not deploy anything.
func typed() []string {
	return []string{
		"plan", "status", "graph", "lock", "unlock", "steal", "queue", "unqueue", "rollback", "abort", "pause", "resume",
		"retry", "history", "freeze", "unfreeze", "incidents", "ack", "silence", "resolve", "help",
		"approve", "reject", "promote",
	}
}

// Mistake is why a text is no command: a sentence for whoever typed it.
type Mistake string

func (m Mistake) Error() string { return string(m) }

func mistake(format string, args ...any) error { return Mistake(fmt.Sprintf(format, args...)) }

// Parse reads what stands after /deploy:
//
//	TARGET [WHAT]
//	plan TARGET [WHAT]
//	status [TARGET]
//	graph TARGET [1h]
//	history|resume|retry|unlock|unqueue TARGET
//	queue TARGET [WHAT]
//	abort|pause TARGET [reason …]
//	rollback TARGET [REVISION] [reason …]
//	lock TARGET [reason …] [for 2h]
//	incidents [TARGET]
//	ack|resolve [ID]
//	silence [ID] [2h]
//	help
//
// Of other verbs only the verb is read. Words may be quoted; a quoted word is never a verb. Errors
// are a Mistake. Whether targets exist is not Parse's to know.
func Parse(text string) (Command, error) {
	text = strings.ToValidUTF8(text, "�")
	first, rest, err := nextWord(text)
	if err != nil {
		return Command{}, err
	}
	verb, isVerb := first.verb()
	switch {
	case first.text == "" && !first.quoted:
		return Command{Verb: Help}, nil
	case !isVerb:
		return parseDeploy(first, rest)
	case !slices.Contains(supported(), string(verb)), verb == Help:
		return Command{Verb: verb}, nil
	case verb == Acknowledge, verb == Silence, verb == Resolve:
		return parseIncident(Command{Verb: verb}, rest)
	}
	target, rest, err := nextWord(rest)
	switch {
	case err != nil:
		return Command{}, err
	case target.text == "" && verb != Status && verb != ListIncidents:
		return Command{}, mistake("Say which target, as in `/deploy %s staging`. `/deploy help` lists the targets.", verb)
	}
	return parseRest(Command{Verb: verb, Target: target.text}, rest)
}

// parseRest reads what follows the target.
func parseRest(c Command, text string) (Command, error) {
	switch c.Verb {
	case Abort, Pause:
		c.Reason = reason(text)
		return c, nil
	case Rollback:
		return parseRollback(c, text)
	case Lock:
		return parseLock(c, text)
	case Plan, Queue:
		return parseImage(c, text)
	case Graph:
		return parseGraph(c, text)
	}
	if extra := plain(text); extra != "" {
		return Command{}, mistake("'%s' is one word too many: `/deploy %s` takes one target. Nothing was done.", extra, c.Verb)
	}
	return c, nil
}

func parseDeploy(target word, text string) (Command, error) {
	what, _, err := nextWord(text)
	if err != nil {
		return Command{}, err
	}
	if verb, is := what.verb(); is {
		return Command{}, mistake("The command comes first: `/deploy %s %s`. Nothing was done.", verb, plain(target.text))
	}
	if target.text == "" {
		return Command{}, Mistake("An empty target is none. `/deploy help` lists the targets.")
	}
	if strings.EqualFold(target.text, string(Deploy)) && !target.quoted {
		return Command{}, mistake("Say it once: `%s`. Nothing was done.", strings.TrimSpace("/deploy "+plain(text)))
	}
	return parseImage(Command{Verb: Deploy, Target: target.text}, text)
}

// parseImage reads a tag or a digest and nothing behind it.
func parseImage(c Command, text string) (Command, error) {
	what, rest, err := nextWord(text)
	if err != nil {
		return Command{}, err
	}
	if what.text != "" && !isImage(what.text) {
		return Command{}, mistake("'%s' is neither a tag nor a digest. Write the tag alone, as in `/deploy %s v1.2.3`, or sha256: and 64 digits.",
			plain(what.text), plain(c.Target))
	}
	if extra := plain(rest); extra != "" {
		return Command{}, mistake("'%s' is one word too many: a target and a tag or digest is all that a deploy takes. Nothing was done.", extra)
	}
	c.What = what.text
	return c, nil
}

// parseRollback takes the word behind the target for a revision if it can be one. A reason's first
// word that only looks like one makes a clear refusal; the other way round, traffic would go to a
// revision that nobody asked for.
func parseRollback(c Command, text string) (Command, error) {
	first, rest, err := nextWord(text)
	if err != nil {
		return Command{}, err
	}
	if isRevision(first.text) {
		c.What, text = first.text, rest
	}
	c.Reason = reason(text)
	return c, nil
}

// isRevision: a revision's name, or the end of it, as in 00041; all that Cloud Run and Slipway give
// out have a digit.
func isRevision(text string) bool {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(text) && strings.ContainsAny(text, "0123456789")
}

// maxReason is how many characters of a reason are kept.
const maxReason = 300

// reason reads free text: its quotes and apostrophes mean nothing, unless they hold all of it.
func reason(text string) string {
	whole, rest, err := nextWord(text)
	if err == nil && whole.quoted && strings.TrimSpace(rest) == "" {
		text = whole.text
	}
	return cut(oneLine(text), maxReason)
}

type word struct {
	text   string
	quoted bool
}

// verb returns the verb that a word is. Phones write the first word with a capital.
func (w word) verb() (Verb, bool) {
	name := strings.ToLower(w.text)
	return Verb(name), !w.quoted && slices.Contains(typed(), name)
}

// nextWord splits the first word off. Word processors and phones make quotes curly, and commands
// copied from a message come in backquotes.
func nextWord(text string) (w word, rest string, err error) {
	text = strings.TrimSpace(text)
	closing := ""
	switch {
	case text == "":
		return word{}, "", nil
	case strings.ContainsRune(`"“”„`, firstRune(text)):
		closing = `"“”`
	case strings.ContainsRune("'‘’", firstRune(text)):
		closing = "'’"
	case text[0] == '`':
		closing = "`"
	}
	if closing != "" {
		return quoted(text, closing)
	}
	if end := strings.IndexFunc(text, unicode.IsSpace); end >= 0 {
		return word{text: text[:end]}, text[end:], nil
	}
	return word{text: text}, "", nil
}

// quoted splits off what stands between the quote that text begins with and one of closing.
func quoted(text, closing string) (w word, rest string, err error) {
	inner := text[utf8.RuneLen(firstRune(text)):]
	end := strings.IndexAny(inner, closing)
	if end < 0 {
		return word{}, "", mistake("A quote is opened and not closed: %s", plain(text))
	}
	after := inner[end:]
	return word{text: strings.TrimSpace(inner[:end]), quoted: true}, after[utf8.RuneLen(firstRune(after)):], nil
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// isImage reports whether text can be a tag or a digest, after the grammar of the distribution
// project's reference package.
func isImage(text string) bool {
	return regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64})$`).MatchString(text)
}
