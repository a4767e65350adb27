package bot

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// mrkdwn is text in Slack's markup. A variable of type string does not become one by itself: it goes
// through escape, say or one of the functions here that make a mention or a date. So whatever a
// person, a log line or a service wrote cannot mention a channel or forge a link
// (docs.slack.dev/messaging/formatting-message-text#escaping).
type mrkdwn string

// escape is the one place where foreign text becomes markup. Only these three characters are special.
func escape(text string) mrkdwn {
	return mrkdwn(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text))
}

// unescape undoes what Slack did to the text of a command or a message. The order matters: "&amp;lt;"
// was typed as "&lt;".
func unescape(text string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// say is Sprintf in which every argument that is a string, and not mrkdwn already, is escaped.
func say(format string, args ...any) mrkdwn {
	safe := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			safe[i] = escape(v)
		case fmt.Stringer:
			safe[i] = escape(v.String())
		case error:
			safe[i] = escape(v.Error())
		default:
			safe[i] = arg
		}
	}
	return mrkdwn(fmt.Sprintf(format, safe...))
}

// sentences joins the parts that are not empty.
func sentences(separator string, parts ...mrkdwn) mrkdwn {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, string(part))
		}
	}
	return mrkdwn(strings.Join(kept, separator))
}

// cut shortens text to at most so many bytes, on a character's border, and marks the place with "…".
// Slack counts characters; bytes are never fewer.
func cut(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimRight(text[:max(0, end)], " \n") + mark
}

// cutMarkup is cut for markup: it does not leave half an entity, a mention or a date behind.
func cutMarkup(text mrkdwn, most int) mrkdwn {
	if len(text) <= most {
		return text
	}
	short := cut(string(text), most)
	body := strings.TrimSuffix(short, "…")
	for _, pair := range []struct{ open, end string }{{"<", ">"}, {"&", ";"}} {
		if at := strings.LastIndex(body, pair.open); at >= 0 && !strings.Contains(body[at:], pair.end) {
			body = body[:at]
		}
	}
	return mrkdwn(strings.TrimRight(body, " \n") + "…")
}

// plain makes foreign text fit for plain_text objects and rich text elements, which have no markup:
// one line, no control characters, at most so many bytes.
func plain(text string, most int) string {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r < ' ' || r == 0x7f })
	return cut(strings.Join(fields, " "), most)
}

// short is plain, and says where the rest is when it cuts.
func short(text string, most int) string {
	const pointer = " (the rest: Details)"
	whole := plain(text, len(text))
	if len(whole) <= most {
		return whole
	}
	return cut(whole, most-len(pointer)) + pointer
}

var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
	groupID   = regexp.MustCompile(`^S[A-Z0-9]{2,}$`)
	channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{2,}$`)
)

// mention writes a person so that Slack notifies them; a robot, which has no Slack ID, by its name.
func mention(id, name string) mrkdwn {
	if userID.MatchString(id) {
		return mrkdwn("<@" + id + ">")
	}
	if name == "" {
		name = id
	}
	return escape(name)
}

func mentionGroup(id string) mrkdwn { return mrkdwn("<!subteam^" + id + ">") }

// clock is a time of day in the reader's zone; clients that cannot do that show UTC.
func clock(at time.Time) mrkdwn { return date(at, "{time}") }

// ago is how long ago something was, kept current by the reader's client.
func ago(at time.Time) mrkdwn { return date(at, "{ago}") }

func date(at time.Time, format string) mrkdwn {
	return mrkdwn(fmt.Sprintf("<!date^%d^%s|%s>", at.Unix(), format, at.UTC().Format("15:04 MST")))
}

// placeholder is what replies of package commands hold in place of markup.
var placeholder = regexp.MustCompile(`\{(?:@@[^{}\s]{1,80}|@[UWS][A-Z0-9]{2,20}|t:[0-9]{1,11})\}`)

// expand escapes a reply and turns {@U…}, {@@handle} and {t:UNIX} into markup. handle writes
// a group or a person named by a handle.
func expand(text string, handle func(string) mrkdwn) mrkdwn {
	var out strings.Builder
	last := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		out.WriteString(string(escape(text[last:at[0]])))
		out.WriteString(string(markup(text[at[0]+1:at[1]-1], handle)))
		last = at[1]
	}
	out.WriteString(string(escape(text[last:])))
	return mrkdwn(out.String())
}

func markup(body string, handle func(string) mrkdwn) mrkdwn {
	switch {
	case strings.HasPrefix(body, "@@"):
		return handle(body[1:])
	case strings.HasPrefix(body, "@S"):
		return mentionGroup(body[1:])
	case strings.HasPrefix(body, "@"):
		return mention(body[1:], "")
	}
	unix, _ := strconv.ParseInt(strings.TrimPrefix(body, "t:"), 10, 64) // the pattern has digits only
	return clock(time.Unix(unix, 0))
}
