//go:build !unix

package probe

import (
	"os"
	"os/exec"
)

// Where there are no process groups, only the program itself is ended, and without being asked first.
func ownGroup(*exec.Cmd) {}

func askToEnd(leader *os.Process) { _ = leader.Kill() }

func end(leader *os.Process) { _ = leader.Kill() }
