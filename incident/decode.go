package incident

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Malformed says what was no entry.
type Malformed struct {
	Count int64    `json:"count"`
	First []string `json:"first,omitempty"` // of at most namedMalformed: the line and what is wrong with it
}

const namedMalformed = 5

func (m *Malformed) add(line int, err error) {
	if m.Count++; len(m.First) < namedMalformed {
		m.First = append(m.First, fmt.Sprintf("line %d: %v", line, err))
	}
}

// Decode reads entries as gcloud logging read --format=json writes them, an array, or one
// after the other, as in a file with one on each line. What is no entry is counted, named
// by its line, and left out; err is one of reading from r.
func Decode(r io.Reader, each func(Entry)) (Malformed, error) {
	var m Malformed
	d := decoder{names: map[string]string{}}
	s := splitter{in: bufio.NewReaderSize(r, 1<<16), line: 1}
	for {
		object, line, err := s.next()
		var broken *brokenError
		switch {
		case errors.Is(err, io.EOF):
			return m, nil
		case errors.As(err, &broken):
			m.add(line, err)
		case err != nil:
			return m, err
		default:
			if e, err := d.entry(object); err != nil {
				m.add(line, err)
			} else {
				each(e)
			}
		}
	}
}

// entryJSON is the shape of an entry.
type entryJSON struct {
	InsertID         string `json:"insertId"`
	Timestamp        string `json:"timestamp"`
	ReceiveTimestamp string `json:"receiveTimestamp"`
	Severity         string `json:"severity"`
	LogName          string `json:"logName"`
	Resource         struct {
		Labels struct {
			Service  string `json:"service_name"`
			Revision string `json:"revision_name"`
			Location string `json:"location"`
		} `json:"labels"`
	} `json:"resource"`
	HTTPRequest *struct {
		Status    int    `json:"status"`
		Latency   string `json:"latency"`
		UserAgent string `json:"userAgent"`
		URL       string `json:"requestUrl"`
	} `json:"httpRequest"`
	TextPayload string                     `json:"textPayload"`
	JSONPayload map[string]json.RawMessage `json:"jsonPayload"`
}

// decoder keeps one copy of the names that all entries repeat.
type decoder struct{ names map[string]string }

const mostNames = 10_000

func (d *decoder) name(s string) string {
	if kept, ok := d.names[s]; ok {
		return kept
	}
	if len(d.names) < mostNames {
		d.names[s] = s
	}
	return s
}

func (d *decoder) entry(object []byte) (Entry, error) {
	var j entryJSON
	if err := json.Unmarshal(object, &j); err != nil {
		return Entry{}, err
	}
	if j.InsertID == "" {
		return Entry{}, errNoID
	}
	at, err := instant("timestamp", j.Timestamp)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{ID: j.InsertID, At: at, Severity: d.name(j.Severity), Log: d.name(LogOf(j.LogName)), Text: j.text()}
	if j.ReceiveTimestamp != "" {
		if e.Received, err = instant("receiveTimestamp", j.ReceiveTimestamp); err != nil {
			return Entry{}, err
		}
	}
	labels := j.Resource.Labels
	e.Service, e.Revision, e.Location = d.name(labels.Service), d.name(labels.Revision), d.name(labels.Location)
	if h := j.HTTPRequest; h != nil {
		e.Request = &Request{Status: h.Status, UserAgent: d.name(h.UserAgent), URL: d.name(h.URL)}
		if e.Request.Latency, err = latency(h.Latency); err != nil {
			return Entry{}, err
		}
	}
	return e, e.Check()
}

func (j *entryJSON) text() string {
	return TextOf(j.TextPayload, func(field string) (text string) {
		if json.Unmarshal(j.JSONPayload[field], &text) != nil {
			return ""
		}
		return text
	})
}

func instant(field, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("its %s %q is no time", field, text)
	}
	return at.UTC(), nil
}

// latency reads seconds as protobuf's Duration writes them: 0.123s.
func latency(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := strings.CutSuffix(text, "s")
	seconds, err := strconv.ParseFloat(number, 64)
	if !unit || err != nil || !(seconds >= 0 && seconds < longestLatency.Seconds()) {
		return 0, fmt.Errorf("its latency %q is no number of seconds, as in 0.5s", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
