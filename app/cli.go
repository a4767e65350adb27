package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"slipway/plan"
)

// Process is what the command line is given by the process it runs in.
type Process struct {
	Args           []string // without the program's name
	Getenv         func(string) string
	Stdout, Stderr io.Writer
	Version        string // "" takes what the Go toolchain stamped into the binary
	Manifest       string // the Slack app manifest that "slipway manifest" prints
	// Dial opens every connection that ctl makes; nil is the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// cli is the grammar. Secrets are settings of the environment and never flags, which every user of a
// machine can see in its list of processes.
type cli struct {
	Run        runCmd        `cmd:"" default:"1" help:"Run the bot until it is interrupted. It is what slipway does without a command." example:"slipway"`
	Ctl        ctlCmd        `cmd:"" help:"Do from a shell or a CI job what /deploy and the buttons do in Slack: deploy, status, approve, rollback and more." example:"slipway ctl deploy staging --wait"`
	Validate   validateCmd   `cmd:"" help:"Check a deploy.yaml and say what is wrong, where, and what to do." example:"slipway validate deploy.yaml"`
	Verdict    verdictCmd    `cmd:"" help:"Judge an error rate from counts, or recompute a verdict from its receipt." example:"slipway verdict --limit 5% --requests 334 --errors 3"`
	Replay     replayCmd     `cmd:"" help:"Say which incidents would have been told of in exported log entries." example:"gcloud logging read 'resource.type=\"cloud_run_revision\"' --freshness=14d --format=json | slipway replay - --limit 5%"`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of deploy.yaml, with which editors complete and check it." example:"slipway schema > schema.json"`
	Manifest   manifestCmd   `cmd:"" help:"Print the manifest of the Slack app, to be pasted at api.slack.com/apps." example:"slipway manifest > slack-app-manifest.yaml"`
	Completion completionCmd `cmd:"" help:"Print the script that completes this command line in bash, zsh or fish." example:"source <(slipway completion bash)"`
	Version    versionCmd    `cmd:"" help:"Print the version." example:"slipway version"`
}

// Exit statuses of the command line.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked was tried and failed
	exitUsage  = 2 // the question itself was wrong
)

// Main is the command line. It returns the exit status: 0, 1 when what was asked failed, 2 when the
// question itself was wrong; slipway verdict has statuses of its own.
func Main(ctx context.Context, p Process) int {
	exit := -1
	parser, err := newParser(ctx, p, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(p.Stderr, "slipway:", err)
		return exitUsage
	}
	args := helpFlag(p.Args)
	command, err := parser.Parse(args)
	if exit >= 0 { // --help was printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "slipway: %s\nslipway --help says what it can do.\n", usage(err, args, parser.Model))
		return usageStatus(args)
	}
	return exitStatus(command.Run(), usageStatus(args), p.Stderr)
}

// usageStatus is the exit status when the question was wrong.
func usageStatus(args []string) int {
	if len(args) > 0 && args[0] == "verdict" {
		return exitNoVerdict
	}
	return exitUsage
}

// exitStatus prints the error, unless it is only that an answer which was printed was no yes.
func exitStatus(err error, usage int, stderr io.Writer) int {
	var wrong misuse
	var answer answered
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &answer):
		return int(answer)
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "slipway: %s\n", wrong)
		return usage
	case !errors.Is(err, errAnswered):
		fmt.Fprintln(stderr, err)
	}
	return exitFailed
}

// misuse is an error in how a command was written that its grammar does not show.
type misuse string

func (m misuse) Error() string { return string(m) }

// errAnswered says that it was not done, and that why was printed already.
var errAnswered = errors.New("not done")

func newParser(ctx context.Context, p Process, exit func(int)) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("slipway"), kong.Description("Slipway deploys to Cloud Run from Slack: /deploy staging."),
		kong.Writers(p.Stdout, p.Stderr), kong.Exit(exit), kong.Help(printHelp),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(p.Stdout, (*io.Writer)(nil)),
		kong.Bind(p, slog.New(slog.NewJSONHandler(p.Stderr, nil))),
	)
}

// usage is what was wrong with args, with the nearest command if one of them is none.
func usage(err error, args []string, app *kong.Application) string {
	text, typed := err.Error(), "slipway"
	for node := app.Node; len(node.Children) > 0 && len(args) > 0 && !strings.HasPrefix(args[0], "-"); args = args[1:] {
		child := named(node, args[0])
		if child == nil {
			return unknownCommand(node, typed, args[0])
		}
		node, typed = child, typed+" "+args[0]
	}
	return text
}

func unknownCommand(node *kong.Node, typed, word string) string {
	names := []string{"help"}
	for _, command := range visible(node) {
		names = append(names, command.Name)
	}
	text := fmt.Sprintf("there is no command %q", word)
	if near, ok := plan.Nearest(word, names); ok {
		text += fmt.Sprintf("; did you mean %s %s?", typed, near)
	}
	return text
}

// visible are the commands below a node that help and completion show.
func visible(node *kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(node.Children), func(n *kong.Node) bool { return n.Hidden })
}

func named(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

type runCmd struct{}

// Run runs the bot until ctx ends.
func (runCmd) Run(ctx context.Context, p Process, log *slog.Logger) (err error) {
	c, err := FromEnv(p.Getenv)
	if err != nil {
		return err
	}
	c.Log = log
	a, err := New(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	log.Info("slipway is ready", "owner", c.Owner, "version", p.version())
	return a.Run(ctx)
}

type validateCmd struct {
	File string `arg:"" optional:"" completes:"file" default:"deploy.yaml" help:"The file to check."`
}

// Run checks the file. What is allowed yet deserves a word is printed as well, and is no failure.
func (v validateCmd) Run(stdout io.Writer) error {
	f, err := plan.LoadFile(v.File)
	if err != nil {
		return err
	}
	for _, w := range f.Warnings {
		fmt.Fprintf(stdout, "warning: %s\n", w.Error())
	}
	_, err = fmt.Fprintf(stdout, "%s is fine: %d environment(s), %d plan(s), %d warning(s).\n",
		v.File, len(f.Environments), len(f.Plans), len(f.Warnings))
	return err
}

type schemaCmd struct{}

// Run prints the schema.
func (schemaCmd) Run(stdout io.Writer) error {
	_, err := stdout.Write(plan.Schema())
	return err
}

type manifestCmd struct{}

// Run prints the manifest.
func (manifestCmd) Run(stdout io.Writer, p Process) error {
	_, err := io.WriteString(stdout, p.Manifest)
	return err
}

type versionCmd struct{}

// Run prints the version and what built it.
func (versionCmd) Run(stdout io.Writer, p Process) error {
	_, err := fmt.Fprintf(stdout, "slipway %s (%s, %s/%s)\n", p.version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the linker's, else the one that the Go toolchain took from version control.
func (p Process) version() string {
	if p.Version != "" {
		return p.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
