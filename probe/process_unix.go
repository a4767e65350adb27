//go:build unix

package probe

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes a command the leader of a process group, so that it can be ended together with what
// it starts.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// askToEnd and end signal the whole group of a process. That a group is gone already is no error.
func askToEnd(leader *os.Process) { _ = syscall.Kill(-leader.Pid, syscall.SIGTERM) }

func end(leader *os.Process) { _ = syscall.Kill(-leader.Pid, syscall.SIGKILL) }
