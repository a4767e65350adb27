package commands

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"slipway/rollout"
)

// plain makes text of people fit to be repeated in a sentence: one line, not too long, and without
// anything that would be read as a mention or a time.
func plain(text string) string {
	return cut(unmarked(oneLine(text)), 80)
}

// sentence is plain for texts that are sentences by themselves, such as a step's note.
func sentence(text string) string {
	return dotted(cut(unmarked(oneLine(text)), 300))
}

// dotted ends a sentence that has no end yet.
func dotted(text string) string {
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".!?") && !strings.HasSuffix(text, "…") {
		text += "."
	}
	return text
}

func unmarked(text string) string {
	return strings.NewReplacer("{@", "{ @", "{t:", "{ t:").Replace(text)
}

// oneLine turns line breaks into blanks and drops what cannot be seen.
func oneLine(text string) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsGraphic(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "�"))
	return strings.Join(strings.Fields(visible), " ")
}

// cut shortens text to at most limit characters.
func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return strings.TrimSpace(string(runes[:limit-1])) + "…"
}

// person is actor, but "you" if it is the reader.
func person(by rollout.Actor, reader string) string {
	if by.ID == reader {
		return "you"
	}
	return actor(by)
}

// actor mentions who did something. Of a robot, whom Slack does not know, it says the name.
func actor(by rollout.Actor) string {
	if !strings.Contains(by.ID, "@") {
		return mention(by.ID)
	}
	return plain(cmp.Or(by.Name, by.ID))
}

// mention writes a handle or an ID in Reply's notation.
func mention(who string) string { return "{@" + who + "}" }

func mentions(who []string) string {
	list := make([]string, len(who))
	for i, w := range who {
		list[i] = mention(w)
	}
	return or(list)
}

// or lists alternatives.
func or(list []string) string { return enumerate(list, " or ") }

func enumerate(list []string, last string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + last + list[len(list)-1]
}

// clock writes a time of day in Reply's notation.
func clock(t time.Time) string { return "{t:" + strconv.FormatInt(t.Unix(), 10) + "}" }

// moment writes a time in Reply's notation, with its day unless that is clear from now.
func moment(t, now time.Time) string {
	if now.Sub(t).Abs() < 18*time.Hour {
		return clock(t)
	}
	return day(t)
}

// day writes a date and a time for lists that go back further than a day. Reply's notation has times
// of day only, so it is UTC and says so.
func day(t time.Time) string { return t.UTC().Format("Jan 2 15:04") + " UTC" }

// upper makes the first letter of a sentence a capital.
func upper(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
