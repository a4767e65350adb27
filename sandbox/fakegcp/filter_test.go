package fakegcp

import (
	"strings"
	"testing"
	"time"

	logtypepb "google.golang.org/genproto/googleapis/logging/type"
)

func sample() (request500, line *record) {
	src := &source{kind: "cloud_run_revision", labels: map[string]string{"service_name": "backend", "location": "us-central1"}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()
	request500 = &record{
		at: at, received: at + int64(time.Second), id: 1, log: requestsLog, source: src, severity: logtypepb.LogSeverity_ERROR,
		request: &request{method: "GET", url: "http://x/api/chat", status: 500, latency: 250 * time.Millisecond, agent: "probe"}, trace: 1,
	}
	line = &record{
		at: at, received: at + int64(time.Second), id: 2, log: stderrLog, source: src, text: "say \"hi\"\nValueError",
		labels: map[string]string{"run.googleapis.com/execution_name": "tests-abcde"},
	}
	return request500, line
}

func TestFilterMatches(t *testing.T) {
	tests := []struct {
		filter        string
		request, line bool
	}{
		{``, true, true},
		{` -- a comment`, true, true},
		{`resource.type="cloud_run_revision" resource.labels.service_name="backend"`, true, true},
		{`resource.type=cloud_run_revision AND resource.labels.service_name=other`, false, false},
		{`resource.labels.none="x"`, false, false},
		{`resource.type=("cloud_run_job" OR "cloud_run_revision")`, true, true},
		{`log_id("run.googleapis.com/requests")`, true, false},
		{`logName="projects/p/logs/run.googleapis.com%2Fstderr"`, false, true},
		{`severity>=ERROR`, true, false},
		{`severity=DEFAULT`, false, true},
		{`severity>=error`, true, false},
		{`textPayload:"valueerror"`, false, true},
		{`textPayload:"say \"hi\""`, false, true},
		{`textPayload="ValueError"`, false, false},
		{`textPayload=~"^say.*"`, false, true},
		{`textPayload!~"^say.*"`, true, false},
		{`"ValueError"`, false, true},
		{`httpRequest.status>=500`, true, false},
		{`httpRequest.status>=500 httpRequest.status<500`, false, false},
		{`httpRequest.status!=500`, false, true},
		{`httpRequest.latency>0.2s`, true, false},
		{`httpRequest.latency>0.3s`, false, false},
		{`httpRequest.userAgent="probe"`, true, false},
		{`"httpRequest"."status"=500`, true, false},
		{`labels."run.googleapis.com/execution_name"="tests-abcde"`, false, true},
		{`timestamp>="2026-01-02T03:04:05Z"`, true, true},
		{`timestamp>2026-01-02T03:04:05Z`, false, false},
		{`timestamp<"2026-01-02T03:04:05.5Z" receiveTimestamp>="2026-01-02T03:04:05.5Z"`, true, true},
		{`receiveTimestamp<"2026-01-02T03:04:06Z"`, false, false},
		{`timestamp>="2026-01-03"`, false, false},
		{`NOT severity>=ERROR`, false, true},
		{`-severity>=ERROR`, false, true},
		{`NOT NOT severity>=ERROR`, true, false},
		{`(severity>=ERROR OR log_id("run.googleapis.com/varlog/system") OR textPayload:"ValueError")`, true, true},
		// OR binds tighter than AND: this is (ERROR or stderr) and requests
		{`severity>=ERROR OR log_id("run.googleapis.com/stderr") AND log_id("run.googleapis.com/requests")`, true, false},
		{`insertId="` + insertIDOf(2) + `"`, false, true},
		{`jsonPayload.message="x"`, false, false},
		{`trace:"traces/"`, true, false},
	}
	requestRecord, line := sample()
	for _, tt := range tests {
		f, err := parseFilter(tt.filter, "p")
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if f.match(requestRecord) != tt.request || f.match(line) != tt.line {
			t.Errorf("%s: matches request %v, line %v; want %v, %v", tt.filter, f.match(requestRecord), f.match(line), tt.request, tt.line)
		}
	}
}

func insertIDOf(id uint64) string { return (&record{id: id}).insertID() }

func TestFilterSince(t *testing.T) {
	day := func(s string) int64 {
		n, err := parseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tests := []struct {
		filter string
		want   int64
	}{
		{`timestamp>="2026-01-02" severity>=ERROR`, day("2026-01-02")},
		{`timestamp>="2026-01-02" receiveTimestamp>"2026-01-03"`, day("2026-01-03")},
		{`timestamp>="2026-01-02" OR timestamp>="2026-01-03"`, day("2026-01-02")},
		{`timestamp>="2026-01-02" OR severity>=ERROR`, -1 << 63},
		{`NOT timestamp>="2026-01-02"`, -1 << 63},
		{`timestamp<"2026-01-02"`, -1 << 63},
	}
	for _, tt := range tests {
		if f, err := parseFilter(tt.filter, "p"); err != nil || f.since != tt.want {
			t.Errorf("%s: since %d, %v; want %d", tt.filter, f.since, err, tt.want)
		}
	}
}

func TestFilterRefused(t *testing.T) {
	for _, filter := range []string{
		`severity>=`, `severity`, `=ERROR`, `severity>=LOUD`, `timestamp>="yesterday"`, `httpRequest.status>=many`,
		`(severity>=ERROR`, `severity>=ERROR)`, `textPayload:"open`, `log_id(requests)`, `log_name("x")`, `nonsense="x"`,
		`resource.nonsense="x"`, `httpRequest.nonsense=1`, `textPayload>"x"`, `severity=~"E"`, `textPayload=~"("`,
		`AND severity>=ERROR`, `severity>=ERROR OR`, `NOT`, `severity>=AND`, `labels="x"`, `~`, strings.Repeat("(", 200),
		strings.Repeat("NOT ", 200) + `severity=ERROR`, `resource.type=("a" OR "b"`,
		`sample(insertId)`, `sample(insertId, 2)`, `sample(insertId, x)`, `sample(insertId, 0.5`, `sample(severity, 0.5)`, `sample(nonsense, 0.5)`, `insertId,`,
	} {
		if _, err := parseFilter(filter, "p"); err == nil {
			t.Errorf("%s: no error", filter)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add(`resource.type="cloud_run_revision" (severity>=ERROR OR NOT log_id("a/b")) timestamp>2026-01-02T03:04:05Z`)
	f.Add(`labels."a/b"=~"x" -- comment`)
	f.Add(`-(-"a" OR b.c:("d" OR 'e'))`)
	request500, line := sample()
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFilter(text, "p")
		if err != nil {
			return
		}
		for _, r := range []*record{request500, line} {
			if parsed.match(r) && r.received < parsed.since {
				t.Errorf("%q matches a record received before its bound", text)
			}
		}
		negated, err := parseFilter("NOT ("+text+"\n)", "p")
		if err == nil && strings.TrimSpace(text) != "" && negated.match(line) == parsed.match(line) {
			t.Errorf("%q and its negation agree", text)
		}
	})
}
