// The sandbox is a whole workspace on one machine: a local Slack, a local Cloud Run with traffic, an
// embedded Redis, and the real app on top of them, through the real clients. It needs no account, no
// token, no network and nothing but Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"slipway/app"
	"slipway/plan"
	"slipway/sandbox/play"
	"slipway/sandbox/ports"
	"slipway/sandbox/workspace"
)

type options struct {
	Listen   string  `help:"Where Slack is: the page at /, API at /api/, socket at /link, control at /_control/. Left out: 127.0.0.1:8190, or the next free one." placeholder:"HOST:PORT"`
	GCP      string  `name:"gcp" help:"Where Cloud Run and Logging are (gRPC, in the clear). Left out: 127.0.0.1:8191, or the next free one." placeholder:"HOST:PORT"`
	Redis    string  `help:"A real Redis in place of the embedded one, which forgets everything in the end." placeholder:"URL"`
	File     string  `default:"deploy.yaml" help:"The plan file; some scenarios have their own."`
	Scenario string  `default:"ssot" help:"What the services are like, and the image that is rolled out."`
	Alerts   bool    `help:"Watches services between rollouts as the plan file says, in scenarios that are about rollouts too: most begin with a fault that is an incident."`
	NoBot    bool    `help:"The servers only; prints the environment that 'go run .' needs."`
	Play     bool    `help:"Plays the scenario, prints the channel as it changes, and exits with 0 if it ends as the scenario says."`
	Speed    float64 `default:"1" help:"Cloud latencies are divided by it; gates and timers keep real time."`
	Seed     uint64  `default:"1" help:"The simulated traffic's seed; the same seed ends the same way each time."`
	Verbose  bool    `short:"v" help:"Log what happens to standard error."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, singleDash(os.Args[1:]), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

// singleDash lets flags be written with one dash, as Go's own programs take them.
func singleDash(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	helped := false
	parser, err := kong.New(&o, kong.Name("sandbox"), kong.Description("A Slack, a Cloud Run and a Redis on this machine, with Slipway in them."),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(args); helped || err != nil {
		return err
	}
	scenario, file, err := o.load()
	if err != nil {
		return err
	}
	if o.NoBot && scenario.Plan != "" {
		return fmt.Errorf("the scenario %q has a plan file of its own, so it needs its bot: leave -no-bot out", scenario.Name)
	}
	if o.Play { // its own ports, so that it can be played beside a running sandbox
		o.Listen, o.GCP = "127.0.0.1:0", "127.0.0.1:0"
	}
	log := slog.New(slog.DiscardHandler)
	if o.Verbose {
		log = slog.New(slog.NewTextHandler(stderr, nil))
	}
	w, err := ports.Open(o.ports(), func(addresses []string) (*workspace.Workspace, error) {
		return workspace.New(ctx, workspace.Options{
			File: file, Scenario: scenario, Seed: o.Seed, Speed: o.Speed,
			Listen: addresses[0], GCP: addresses[1], Redis: o.Redis, Log: log,
		})
	})
	if err != nil {
		return err
	}
	defer w.Close()
	return o.serve(ctx, w, scenario, file, stdout)
}

// load finds the scenario and its plan file.
func (o options) load() (workspace.Scenario, *plan.File, error) {
	scenario, err := workspace.FindScenario(o.Scenario)
	if err != nil {
		return scenario, nil, err
	}
	scenario.Alerts = scenario.Alerts || o.Alerts
	file, err := scenario.Load(o.File)
	return scenario, file, err
}

func (o options) ports() []ports.Port {
	return []ports.Port{{Flag: "-listen", Given: o.Listen, Default: 8190}, {Flag: "-gcp", Given: o.GCP, Default: 8191}}
}

func (o options) serve(ctx context.Context, w *workspace.Workspace, scenario workspace.Scenario, file *plan.File, stdout io.Writer) error {
	if o.NoBot {
		fmt.Fprintln(stdout, strings.Join(w.Environment(o.File), "\n"))
		<-ctx.Done()
		return nil
	}
	a, err := app.New(ctx, w.App("sandbox"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		cancel(err)
		done <- err
	}()
	if o.Play {
		err = o.play(ctx, w, scenario, file, stdout)
		cancel(nil)
	} else {
		awaitApp(ctx, w)
		fmt.Fprintf(stdout, "Open %s in a browser: a Slack channel with Slipway in it (%s). Ctrl-C ends it.\n", w.SlackURL(), scenario.Name)
	}
	return errors.Join(err, <-done, a.Close())
}

// awaitApp waits until the app listens, so that the first command is not typed into the void; if it
// takes long, the page says what is missing.
func awaitApp(ctx context.Context, w *workspace.Workspace) {
	const longest = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	_ = w.WaitConnected(ctx)
}

func (o options) play(ctx context.Context, w *workspace.Workspace, scenario workspace.Scenario, file *plan.File, stdout io.Writer) error {
	channel := file.Environments[0].Channel
	fmt.Fprintf(stdout, "#%s: %s.\n", channel, scenario.About)
	if err := w.WaitConnected(ctx); err != nil {
		return err
	}
	return play.New(w, channel, stdout).Act(ctx, scenario.Name)
}
