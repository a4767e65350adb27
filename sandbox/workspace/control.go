package workspace

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// control serves /_control/: what people and the cloud do, for tests and scripts. It routes to the
// fakes, and joins what Slack and the cloud have to say.
func (w *Workspace) control() http.Handler {
	slack, cloud := w.Slack.ControlHandler(), w.Cloud.ControlHandler()
	mux := http.NewServeMux()
	mux.Handle("/_control/", slack)
	for _, path := range []string{"traffic", "touch", "deny"} {
		mux.Handle("/_control/"+path, cloud)
	}
	mux.Handle("GET /_control/notices", w.Pager.Handler())
	mux.HandleFunc("POST /_control/fault", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		var fault struct{ Target string }
		if err == nil {
			err = json.Unmarshal(body, &fault)
		}
		if err != nil {
			http.Error(rw, "this is not a fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if fault.Target == "gcp" {
			cloud.ServeHTTP(rw, r)
			return
		}
		slack.ServeHTTP(rw, r)
	})
	mux.HandleFunc("GET /_control/journal", func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, map[string]any{"slack": w.Slack.Journal(), "gcp": w.Cloud.Journal()})
	})
	mux.HandleFunc("GET /_control/state", func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, map[string]any{"slack": w.Slack.State(), "gcp": w.Cloud.State()})
	})
	return mux
}

func reply(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(rw).Encode(v); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
	}
}
