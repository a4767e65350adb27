package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"slipway/plan"
)

type cli struct {
	Run      runCmd      `cmd:"" default:"1" help:"Run the bot. Settings come from the environment: SLACK_APP_TOKEN, SLACK_BOT_TOKEN, REDIS_URL and, if deploy.yaml is not here, SLIPWAY_FILE."`
	Validate validateCmd `cmd:"" help:"Check a deploy.yaml and say what is wrong, where, and what to do."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// Main is the command line. It returns the exit status: 0, 1 when what was asked failed, 2 when the
// question itself was wrong.
func Main(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("slipway"), kong.Description("Deploys to Cloud Run from Slack: /deploy staging."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(stdout, (*io.Writer)(nil)),
		kong.Bind(environment(getenv), slog.New(slog.NewJSONHandler(stderr, nil))),
	)
	if err != nil {
		fmt.Fprintln(stderr, "slipway:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "slipway: %v\nslipway --help says what it can do.\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

type environment func(string) string

type runCmd struct{}

// Run runs the bot until ctx ends.
func (runCmd) Run(ctx context.Context, getenv environment, log *slog.Logger) (err error) {
	c, err := FromEnv(getenv)
	if err != nil {
		return err
	}
	c.Log = log
	a, err := New(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	log.Info("slipway is ready", "owner", c.Owner)
	return a.Run(ctx)
}

type validateCmd struct {
	File string `arg:"" optional:"" default:"deploy.yaml" help:"The file to check."`
}

// Run checks the file.
func (v validateCmd) Run(stdout io.Writer) error {
	f, err := plan.LoadFile(v.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is fine: %d environment(s), %d plan(s).\n", v.File, len(f.Environments), len(f.Plans))
	return nil
}

type versionCmd struct{}

// Run prints the version that the Go toolchain stamped into the binary.
func (versionCmd) Run(stdout io.Writer) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Fprintln(stdout, "slipway", version)
	return err
}
