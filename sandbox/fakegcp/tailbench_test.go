package fakegcp

import (
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
)

// BenchmarkTail is a second of 1,000 requests, Google's rate, for ten sessions: kept, handed out, put into order.
func BenchmarkTail(b *testing.B) {
	cloud := New(Config{Project: "p", Region: "r", TailRate: -1})
	defer cloud.Close()
	filter := `resource.type="cloud_run_revision" resource.labels.revision_name="app-1" log_id("run.googleapis.com/requests")`
	var sessions []*tailSession
	for range mostTails {
		session, err := cloud.newTail(&loggingpb.TailLogEntriesRequest{ResourceNames: []string{"projects/p"}, Filter: filter}, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		cloud.tails[session] = true
		sessions = append(sessions, session)
	}
	src := &source{kind: "cloud_run_revision", labels: map[string]string{"revision_name": "app-1"}}
	now := time.Now()
	for b.Loop() {
		for i := range 1000 {
			at := now.Add(time.Duration(i) * time.Millisecond).UnixNano()
			cloud.write(&record{at: at, received: at + int64(time.Second), log: requestsLog, source: src, request: &request{status: 200}})
		}
		now = now.Add(time.Second)
		for _, session := range sessions {
			if res := session.collect(now.Add(usualBuffer)); len(res.GetEntries()) == 0 {
				b.Fatal("nothing to send")
			}
		}
		cloud.logs.records = cloud.logs.records[:0]
	}
}
