//go:build services

package main

import (
	"bytes"
	"strings"
	"testing"
)

// The whole rollout over real sockets and in real time, with a fast cloud: about a minute and a half.
func TestPlayOnRealSockets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), singleDash([]string{"-play", "-speed", "20", "-file", "../deploy.yaml"}), &out, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "Deployed: backend on staging") {
		t.Errorf("it does not say so:\n%s", out.String())
	}
}
