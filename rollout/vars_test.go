package rollout_test

import (
	"testing"

	"slipway/rollout"
)

func TestTaskExpand(t *testing.T) {
	task := rollout.Task{Services: map[string]rollout.Service{
		"backend": {
			URL: "https://b.test", Candidate: rollout.Revision{Name: "b-sabc234-1", URL: "http://candidate---b.test"},
			Image: rollout.Image{Repository: "repo/b", Digest: "sha256:1"},
		},
		"auth": {URL: "https://a.test"},
	}}
	for in, want := range map[string]string{
		"${backend.url}/x":                "https://b.test/x",
		"${backend.ws_url}/ws":            "wss://b.test/ws",
		"${backend.candidate.url}":        "http://candidate---b.test",
		"${backend.candidate.ws_url}/ws":  "ws://candidate---b.test/ws",
		"${backend.revision} ${auth.url}": "b-sabc234-1 https://a.test",
		"${backend.image}":                "repo/b@sha256:1",
		"plain":                           "plain",
		"${auth.candidate.url}":           "", // not deployed: an error
		"${auth.image}":                   "",
		"${nobody.url}":                   "",
		"${backend}":                      "",
		"${backend.password}":             "",
	} {
		got, err := task.Expand(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
}
