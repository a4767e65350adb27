package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// replica is one place where a bot runs: whenever its process ends, another one is started, as whatever
// keeps containers running would do it.
type replica struct {
	number int
	binary string
	env    []string
	log    *os.File

	mu      sync.Mutex
	process *os.Process // nil while there is none
	frozen  bool
	starts  int
	panics  int           // processes that ended as Go ends after a panic
	started chan struct{} // closed and replaced at each start
}

const (
	restartPause = 500 * time.Millisecond
	exitPanic    = 2 // https://pkg.go.dev/runtime#hdr-Environment_Variables
)

func newReplica(number int, binary, dir string, env []string) (*replica, error) {
	log, err := os.Create(filepath.Join(dir, fmt.Sprintf("bot-%d.log", number)))
	if err != nil {
		return nil, err
	}
	return &replica{number: number, binary: binary, env: env, log: log, started: make(chan struct{})}, nil
}

// run keeps a process alive until ctx ends, then kills it. It returns once that is gone.
func (r *replica) run(ctx context.Context) {
	defer r.log.Close()
	for ctx.Err() == nil {
		cmd := exec.Command(r.binary) //nolint:gosec // it was built for this
		cmd.Env, cmd.Stdout, cmd.Stderr = r.env, r.log, r.log
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(r.log, "cannot start:", err)
		} else {
			r.alive(cmd.Process)
			ended := context.AfterFunc(ctx, func() { r.signal(syscall.SIGKILL) })
			_ = cmd.Wait()
			ended()
			r.gone(cmd.ProcessState)
		}
		pause(ctx, restartPause)
	}
}

func (r *replica) alive(p *os.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process, r.frozen = p, false
	r.starts++
	close(r.started)
	r.started = make(chan struct{})
}

func (r *replica) gone(state *os.ProcessState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process, r.frozen = nil, false
	if state.ExitCode() == exitPanic {
		r.panics++
	}
}

// signal reaches the process if there is one.
func (r *replica) signal(s syscall.Signal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return false
	}
	switch s {
	case syscall.SIGSTOP:
		r.frozen = true
	case syscall.SIGCONT:
		r.frozen = false
	}
	return r.process.Signal(s) == nil
}

// working reports whether there is a process that is not frozen.
func (r *replica) working() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process != nil && !r.frozen
}

// is reports whether a lease's owner, HOST-PID, is the process.
func (r *replica) is(owner string) bool {
	pid, err := strconv.Atoi(owner[strings.LastIndexByte(owner, '-')+1:])
	r.mu.Lock()
	defer r.mu.Unlock()
	return err == nil && r.process != nil && r.process.Pid == pid
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
