package commands

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file reads commands that say how long something lasts: locks, silences, graphs.

// maxLock is the longest time that a lock with an end may last.
const maxLock = 30 * 24 * time.Hour

// parseLock reads a reason with "for 2h" before or behind it.
func parseLock(c Command, text string) (Command, error) {
	words := strings.Fields(text)
	for _, span := range lasting(words) {
		d, ok := period(strings.Join(words[span.from+1:span.to], " "))
		switch {
		case !ok:
			continue
		case d <= 0 || d > maxLock:
			return Command{}, Mistake("A lock lasts for some time, and 30 days at most. Without “for …” it stays until someone unlocks. Nothing was done.")
		}
		c.For = d
		text = strings.Join(slices.Concat(words[:span.from], words[span.to:]), " ")
		break
	}
	c.Reason = reason(text)
	return c, nil
}

// span is a range of words, to excluded.
type span struct{ from, to int }

// lasting returns where "for 2h" or "for 2 hours" can stand among words: at the end, else at the beginning.
func lasting(words []string) []span {
	var spans []span
	n := len(words)
	for _, s := range []span{{n - 2, n}, {n - 3, n}, {0, 2}, {0, 3}} {
		if s.from >= 0 && s.to <= n && strings.EqualFold(words[s.from], "for") {
			spans = append(spans, s)
		}
	}
	return spans
}

// period reads 2h, 1h30m, 2d, 90 min, 2 hours.
func period(text string) (time.Duration, bool) {
	found := regexp.MustCompile(`^(?:(\d{1,4}) ?(?:d|days?))? ?(?:(\d{1,4}) ?(?:h|hours?))? ?(?:(\d{1,4}) ?(?:m|mins?|minutes?))?$`).
		FindStringSubmatch(strings.ToLower(text))
	if found == nil || found[1]+found[2]+found[3] == "" {
		return 0, false
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		n, _ := strconv.Atoi("0" + found[i+1]) // the pattern has digits only
		total += time.Duration(n) * unit
	}
	return total, true
}

// maxSilence is the longest time for which nothing is said of an incident.
const maxSilence = 7 * 24 * time.Hour

// parseIncident reads an ID and, of a silence, how long it lasts, with or without "for" before it.
func parseIncident(c Command, text string) (Command, error) {
	length := text
	if c.Verb != Silence || !isLength(text) {
		first, rest, err := nextWord(text)
		if err != nil {
			return Command{}, err
		}
		c.What, length = strings.ToLower(first.text), rest
	}
	if c.What != "" && !isIncident(c.What) {
		return Command{}, mistake("'%s' is no incident's ID, which has up to 6 letters and digits. `/deploy incidents` lists them. Nothing was done.", plain(c.What))
	}
	if c.Verb == Silence {
		return parseSilence(c, length)
	}
	if extra := plain(length); extra != "" {
		return Command{}, mistake("'%s' is one word too many: `/deploy %s` takes the ID of an incident. Nothing was done.", extra, c.Verb)
	}
	return c, nil
}

func parseSilence(c Command, text string) (Command, error) {
	if c.For = usualSilence; strings.TrimSpace(text) == "" {
		return c, nil
	}
	d, ok := silence(text)
	if !ok || d <= 0 || d > maxSilence {
		return Command{}, mistake("'%s' is not how long an incident can be silenced: up to 7 days, as in `/deploy silence ID 2h`. Nothing was done.", plain(text))
	}
	c.For = d
	return c, nil
}

func isLength(text string) bool {
	_, ok := silence(text)
	return ok
}

// silence reads 2h or for 2h.
func silence(text string) (time.Duration, bool) {
	words := strings.Fields(text)
	if len(words) > 1 && strings.EqualFold(words[0], "for") {
		words = words[1:]
	}
	return period(strings.Join(words, " "))
}

// How far back a graph may begin. A longer one would read the log for minutes.
const (
	minGraph     = 5 * time.Minute
	maxGraph     = 24 * time.Hour
	defaultGraph = time.Hour
)

func parseGraph(c Command, text string) (Command, error) {
	c.For = defaultGraph
	if text = strings.TrimSpace(text); text == "" {
		return c, nil
	}
	d, ok := period(text)
	if !ok || d < minGraph || d > maxGraph {
		return Command{}, mistake("'%s' is not how far back a graph can begin: from 5m to 24h, as in `/deploy graph %s 1h`.", plain(text), plain(c.Target))
	}
	c.For = d
	return c, nil
}
