package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"slipway/rollout"
)

// command runs a program: without a shell, in an empty directory, with little of Slipway's
// environment, as a process group that ends as a whole.
func (p *Probes) command(ctx context.Context, t rollout.Task) rollout.Outcome {
	v, output := newValues(t), &tail{}
	cmd, err := p.prepare(t, v)
	if err != nil {
		return failed("command_request", sentence(err), "")
	}
	cmd.Stdout, cmd.Stderr = output, output
	if cmd.Dir, err = os.MkdirTemp("", "slipway-command-"); err != nil {
		p.Log.WarnContext(ctx, "no directory for a command", "rollout", t.Key.Rollout, "step", t.Key.Step, "err", err)
		return failed("command_directory", "No directory could be made for it to run in: see that there is room where Slipway keeps its temporary files.", "")
	}
	defer func() {
		if err := os.RemoveAll(cmd.Dir); err != nil {
			p.Log.WarnContext(ctx, "a command's directory stays behind", "rollout", t.Key.Rollout, "step", t.Key.Step, "err", err)
		}
	}()
	limited, cancel := context.WithTimeout(ctx, patience(t))
	defer cancel()
	began := time.Now()
	if err := p.supervise(limited, cmd); err != nil {
		return notStarted(cmd.Args[0], err)
	}
	return finished(t, cmd.ProcessState, time.Since(began), limited.Err() != nil, output.text(v))
}

// prepare builds the command with everything filled in.
func (p *Probes) prepare(t rollout.Task, v *values) (*exec.Cmd, error) {
	args := make([]string, len(t.Step.Command.Args))
	for i, arg := range t.Step.Command.Args {
		var err error
		if args[i], err = t.Expand(arg); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // G204: running what deploy.yaml says is what it is for
	cmd.WaitDelay = p.grace
	cmd.Env = []string{"SLIPWAY_KEY=" + t.Key.String()}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value := p.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for _, name := range t.Step.Command.Env {
		value, err := v.variable(name, p.Getenv)
		if err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	ownGroup(cmd)
	return cmd, nil
}

// patience is how long a program may take from now on. It ends a little before the step's timeout, so
// that the step ends with the program's last words and not with its cancellation.
func patience(t rollout.Task) time.Duration {
	limit := t.Step.Timeout.D() - min(time.Second, t.Step.Timeout.D()/10)
	if t.Started.IsZero() {
		return limit
	}
	return time.Until(t.Started.Add(limit))
}

// supervise runs a command to its end, or to that of ctx: then its process group is asked to end, and
// killed if it has not after a while. Whatever a program leaves running in its group is killed, too.
// The error says that the program could not be started; how it ended is in cmd.ProcessState.
func (p *Probes) supervise(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	defer end(cmd.Process)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // it repeats the ProcessState, or says that what was left behind held the output
	}()
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
	}
	askToEnd(cmd.Process)
	grace := time.NewTimer(p.grace)
	defer grace.Stop()
	select {
	case <-exited:
	case <-grace.C:
		end(cmd.Process)
		<-exited
	}
	return nil
}

func notStarted(program string, err error) rollout.Outcome {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return failed("command_missing", fmt.Sprintf("There is no program %s where Slipway runs. A command is for what Slipway's own image carries; the team's checks run as a job in the team's image.", program), "")
	}
	if errors.Is(err, fs.ErrPermission) {
		return failed("command_denied", fmt.Sprintf("Slipway may not run %s: it is not executable.", program), "")
	}
	return failed("command_start", fmt.Sprintf("%s could not be started.", program), err.Error())
}

// finished is the outcome of a program that ran.
func finished(t rollout.Task, state *os.ProcessState, took time.Duration, late bool, output string) rollout.Outcome {
	code := state.ExitCode()
	switch {
	case late:
		return failed("timeout", fmt.Sprintf("Took longer than %s and was stopped.", t.Step.Timeout), output)
	case code == 0:
		return rollout.Outcome{State: rollout.Passed, Note: fmt.Sprintf("Exited with 0 after %s.", lasted(took))}
	case code < 0:
		return failed("command_killed", fmt.Sprintf("Ended by %s after %s. If nobody did that, it may have run out of memory.", state, lasted(took)), output)
	}
	return failed("command_exit", fmt.Sprintf("Exited with %d after %s.", code, lasted(took)), output)
}
