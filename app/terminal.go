package app

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"slipway/plan"
	"slipway/rollout"
)

// terminal writes for a terminal what is otherwise written for Slack.
type terminal struct {
	file   *plan.File // whose identities have names; may be nil
	reader string     // the ID of whoever reads
	names  map[string]string
}

// learn remembers how those are called who did something to rollouts.
func (t *terminal) learn(rollouts ...rollout.Rollout) {
	for _, r := range rollouts {
		t.name(r.By)
		for _, a := range r.Asks {
			for _, v := range a.Votes {
				t.name(v.By)
			}
			if a.Answer != nil && a.Answer.By != nil {
				t.name(*a.Answer.By)
			}
		}
	}
}

func (t *terminal) name(by rollout.Actor) {
	if t.names == nil {
		t.names = map[string]string{}
	}
	if by.Name != "" {
		t.names[by.ID] = by.Name
	}
}

// person writes somebody by name, if it is known. Whether that is a person or a robot shows in it.
func (t terminal) person(id string) string {
	if name := t.names[id]; name != "" {
		return name
	}
	if t.file != nil {
		if i := slices.IndexFunc(t.file.Identities, func(i *plan.Identity) bool { return i.Slack == id }); i >= 0 {
			return nameOf(t.file.Identities[i])
		}
	}
	return id
}

// render turns the notation of commands.Reply into text: {@U123} and {@@group} into names, {t:UNIX} into
// a time of this machine's zone, and `/deploy …` into what is typed here.
func (t terminal) render(text string) string {
	marks := regexp.MustCompile(`\{(?:@@[^{}\s]{1,80}|@[UWS][A-Z0-9]{2,20}|t:[0-9]{1,11})\}`)
	text = marks.ReplaceAllStringFunc(text, func(mark string) string {
		switch body := mark[1 : len(mark)-1]; {
		case strings.HasPrefix(body, "@@"):
			return body[1:]
		case strings.HasPrefix(body, "@"):
			return t.person(body[1:])
		default:
			unix, _ := strconv.ParseInt(strings.TrimPrefix(body, "t:"), 10, 64) // the pattern has digits only
			return time.Unix(unix, 0).Local().Format("15:04")
		}
	})
	return visibleText(regexp.MustCompile("`/deploy ?([^`]*)`").ReplaceAllStringFunc(text, typedHere))
}

// typedHere is a command as ctl takes it; one that it does not have stays as it is.
func typedHere(quoted string) string {
	typed := strings.Fields(strings.Trim(quoted, "`"))[1:]
	switch {
	case len(typed) == 0 || typed[0] == "help":
		return "`slipway ctl --help`"
	case slices.Contains([]string{"graph", "steal", "queue", "freeze", "unfreeze"}, typed[0]):
		return quoted
	case !slices.Contains(plan.Abilities(), typed[0]):
		typed = append([]string{"deploy"}, typed...)
	}
	return "`slipway ctl " + strings.Join(typed, " ") + "`"
}

// visibleText drops what would steer a terminal: parts of a text are other people's.
func visibleText(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, text)
}

// mentionsPeople reports whether render would need names.
func mentionsPeople(text string) bool {
	return strings.Contains(text, "{@U") || strings.Contains(text, "{@W")
}
