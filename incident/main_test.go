package incident

import (
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the embedded Redis builds an interpreter for each script and throws it away
	goleak.VerifyTestMain(m)
}
