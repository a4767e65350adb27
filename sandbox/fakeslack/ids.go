package fakeslack

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// newTS returns a message timestamp that no other message has: the time, moved
// on by a microsecond when two things happen in the same one. The caller holds
// s.mu.
func (s *Server) newTS(now time.Time) string {
	s.lastTS = max(now.Add(s.skew).UnixMicro(), s.lastTS+1)
	return formatTS(s.lastTS)
}

// tellTime sets the Date of an answer, where Slack's clock is wrong.
func (s *Server) tellTime(header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.skew != 0 {
		header.Set("Date", time.Now().Add(s.skew).UTC().Format(http.TimeFormat))
	}
}

func formatTS(micros int64) string { return fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6) }

// newID returns an ID in Slack's manner, such as F0000001A. The caller holds
// s.mu.
func (s *Server) newID(prefix string) string {
	s.lastID++
	return fmt.Sprintf("%s%08s", prefix, base36(s.lastID))
}

func base36(n int64) string {
	text := []byte(strconv.FormatInt(n, 36))
	for i, c := range text {
		if c >= 'a' {
			text[i] = c - 'a' + 'A'
		}
	}
	return string(text)
}

// newSecret returns a name that cannot be guessed from another one, for
// tickets, triggers and URLs. It is drawn from the seed, so that a run can be
// repeated. The caller holds s.mu.
func (s *Server) newSecret() string {
	return fmt.Sprintf("%016x%08x", s.random.Uint64(), s.random.Uint32())
}
