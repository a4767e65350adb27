//go:build services

package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A small run of what `make chaos` does at length.
func TestChaos(t *testing.T) {
	var out strings.Builder
	code := run(t.Context(), []string{"-rollouts=3", "-seed=4", "-limit=20s", "-gate=0s"}, &out)
	t.Log(out.String())
	if code != exitClean {
		t.Errorf("exit status %d", code)
	}
}
