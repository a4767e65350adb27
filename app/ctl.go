package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"slipway/commands"
	"slipway/plan"
	"slipway/rollout"
)

// This file is the grammar of `slipway ctl`. What stands in it is turned into the text that would be
// typed after /deploy, so that there is one parser, one set of rules and one history.

type ctlCmd struct {
	Deploy   ctlDeploy   `cmd:"" help:"Start a rollout." example:"slipway ctl deploy staging --wait --token \"$GITHUB_RUN_ID\""`
	Plan     ctlPlan     `cmd:"" help:"Say what a rollout would do; nothing is started." example:"slipway ctl plan staging v1.2.3"`
	Status   ctlStatus   `cmd:"" help:"Say what is rolling out, who is waited for, and what is locked." example:"slipway ctl status staging --json"`
	History  ctlHistory  `cmd:"" help:"List the last rollouts and how they ended; with --export, also what their verdicts were made of." example:"slipway ctl history staging --export receipts"`
	Approve  ctlAnswer   `cmd:"" help:"Approve the rollout of a target." example:"slipway ctl approve staging"`
	Reject   ctlAnswer   `cmd:"" help:"Reject it." example:"slipway ctl reject staging"`
	Confirm  ctlAnswer   `cmd:"" help:"Say that what a manual step asks for is done." example:"slipway ctl confirm staging"`
	Continue ctlAnswer   `cmd:"" help:"Go on without the evidence that a gate asks about." example:"slipway ctl continue staging"`
	Probe    ctlAnswer   `cmd:"" help:"Send test requests to a new revision that got too few." example:"slipway ctl probe staging"`
	Extend   ctlAnswer   `cmd:"" help:"Give a gate more time." example:"slipway ctl extend staging"`
	Hold     ctlAnswer   `cmd:"" help:"Stop where it is; traffic stays as it is." example:"slipway ctl hold staging"`
	Abort    ctlReason   `cmd:"" help:"Stop a rollout; traffic goes back to the old revision." example:"slipway ctl abort staging too many errors"`
	Pause    ctlReason   `cmd:"" help:"Start no further step for a while." example:"slipway ctl pause staging lunch"`
	Resume   ctlTarget   `cmd:"" help:"Go on after a pause." example:"slipway ctl resume staging"`
	Retry    ctlTarget   `cmd:"" help:"Try the failed step again." example:"slipway ctl retry staging"`
	Rollback ctlRollback `cmd:"" help:"Send all traffic back to an earlier revision, if need be without Redis." example:"slipway ctl rollback staging/backend 00041 logins fail"`
	Lock     ctlReason   `cmd:"" help:"Keep rollouts from starting." example:"slipway ctl lock staging load test for 2h"`
	Unlock   ctlTarget   `cmd:"" help:"End the lock." example:"slipway ctl unlock staging"`

	Incidents ctlIncidents `cmd:"" help:"Say what fails while nobody deploys, who has it, and what is watched." example:"slipway ctl incidents staging"`
	Ack       ctlIncident  `cmd:"" help:"Say that you have an incident." example:"slipway ctl ack 1x2y3z"`
	Silence   ctlSilence   `cmd:"" help:"Have nothing said of an incident for a while." example:"slipway ctl silence 1x2y3z 2h"`
	Resolve   ctlIncident  `cmd:"" help:"Say that an incident is over." example:"slipway ctl resolve 1x2y3z"`
}

// Help is shown by --help.
func (ctlCmd) Help() string {
	var settings strings.Builder
	for _, s := range CtlSettings() {
		fmt.Fprintf(&settings, "    %-21s %s\n", s.Name, s.Hint)
	}
	return `ctl acts for whoever the application-default credentials of Google belong to. identities in deploy.yaml maps
their account to a person, by the Slack member ID, or to a robot; an account that is not there may do nothing:

    identities:
      oncall@example.com: {slack: U012AB3CD}
      ci@my-project.iam.gserviceaccount.com: {robot: ci, may: [deploy, status], groups: ["@backend"]}

A person may do what they may do in Slack. Who is in a group is asked of Slack, for which ctl needs
SLACK_BOT_TOKEN; without it only those count who are named by their Slack ID, or whose identity has the
group among its own groups. A robot may do what its may says, where its groups let it.

Whoever can write to Redis needs no ctl to change what is in it: give REDIS_URL to those only whom you trust
with that. The rules here keep people from mistakes, and the history true.

The bots do the work: ctl only says what is to be done, and --wait looks on. With Redis down nothing is
started, but rollback goes straight to Cloud Run, where the rights of the credentials decide.

Settings, from the environment:

` + settings.String()
}

// CtlSettings are all that ctl reads from the environment.
func CtlSettings() []Setting {
	settings := []Setting{{"SLIPWAY_IDENTITY", "with SLIPWAY_GCP_ENDPOINT only: the account whose credentials these would be", false, anything}}
	for _, s := range Settings() {
		switch s.Name {
		case "SLACK_APP_TOKEN":
			continue
		case "SLACK_BOT_TOKEN":
			s.Required, s.Hint = false, "optional: asks Slack who is in which group, and whether the channel is there"
		}
		settings = append(settings, s)
	}
	return settings
}

// answering are the flags of every command.
type answering struct {
	JSON bool `name:"json" help:"Print one JSON object: done, text, and the rollout or rollouts."`
}

// following are the flags of commands that begin something.
type following struct {
	Wait    bool          `help:"Follow the rollout to its end: a line for each step. Exit 0 only if it went well."`
	Timeout time.Duration `help:"Look on for at most so long, as in 45m; the rollout goes on. 0: to its end."`
	Token   string        `help:"Names this request: with the same token it is done once, however often it is repeated. A CI job's run ID is a good one."`
}

type ctlDeploy struct {
	Target string `arg:"" help:"staging, or staging/backend for one service."`
	What   string `arg:"" optional:"" help:"A tag or a digest. Left out: what the services' own tags point to."`
	following
	answering
}

// Run starts a rollout.
func (c ctlDeploy) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "deploy", target: c.Target, text: commands.Order{Target: c.Target, What: c.What}.Text(), following: c.following, answering: c.answering})
}

type ctlPlan struct {
	Target string `arg:"" help:"staging, or staging/backend for one service."`
	What   string `arg:"" optional:"" help:"A tag or a digest. Left out: what the services' own tags point to."`
	answering
}

// Run says what a rollout would do.
func (c ctlPlan) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "plan", target: c.Target, text: words("plan", c.Target, c.What), answering: c.answering})
}

type ctlStatus struct {
	Target string `arg:"" optional:"" help:"staging, or staging/backend. Left out: everything."`
	answering
}

// Run says how things stand.
func (c ctlStatus) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "status", target: c.Target, text: words("status", c.Target), answering: c.answering})
}

// ctlTarget is a command that needs a target only.
type ctlTarget struct {
	Target string `arg:"" help:"staging, or staging/backend for one service."`
	answering
}

// Run does what the command's name says.
func (c ctlTarget) Run(ctx context.Context, p Process, k *kong.Context) error {
	verb := k.Selected().Name
	return ctl(ctx, p, order{verb: verb, target: c.Target, text: words(verb, c.Target), answering: c.answering})
}

// ctlReason is a command that takes a reason.
type ctlReason struct {
	Target string   `arg:"" help:"staging, or staging/backend for one service."`
	Reason []string `arg:"" optional:"" help:"Why, for the others; of a lock also for how long, as in: load test for 2h."`
	answering
}

// Run does what the command's name says.
func (c ctlReason) Run(ctx context.Context, p Process, k *kong.Context) error {
	verb := k.Selected().Name
	return ctl(ctx, p, order{verb: verb, target: c.Target, text: words(verb, append([]string{c.Target}, c.Reason...)...), answering: c.answering})
}

// ctlAnswer is the press of a button on the card.
type ctlAnswer struct {
	Target string `arg:"" help:"The target of the rollout, or its ID."`
	Ask    string `help:"The ID of the question, if the rollout asks several; status --json shows it."`
	answering
}

// Run answers.
func (c ctlAnswer) Run(ctx context.Context, p Process, k *kong.Context) error {
	verb := k.Selected().Name
	return ctl(ctx, p, order{verb: verb, target: c.Target, answer: rollout.Verb(verb), ask: c.Ask, answering: c.answering})
}

type ctlRollback struct {
	Target string   `arg:"" help:"staging, or staging/backend for one service."`
	Rest   []string `arg:"" optional:"" name:"revision" help:"The revision to return to, as in 00041, and why. Without one: the last that passed."`
	Direct bool     `help:"Go straight to Cloud Run, without Redis, history, lock or card; Google's IAM decides. It is what happens by itself when Redis does not answer."`
	following
	answering
}

// Run rolls back.
func (c ctlRollback) Run(ctx context.Context, p Process) error {
	text := words("rollback", append([]string{c.Target}, c.Rest...)...)
	return ctl(ctx, p, order{verb: "rollback", target: c.Target, text: text, direct: c.Direct, following: c.following, answering: c.answering})
}

type ctlIncidents struct {
	Target string `arg:"" optional:"" help:"staging, or staging/backend. Left out: everything."`
	answering
}

// Run lists incidents.
func (c ctlIncidents) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "incidents", target: c.Target, text: words("incidents", c.Target), answering: c.answering})
}

// ctlIncident is a command about an incident.
type ctlIncident struct {
	ID string `arg:"" optional:"" name:"id" help:"The incident's ID. Left out: the one that is open, if it is only one."`
	answering
}

// Run does what the command's name says.
func (c ctlIncident) Run(ctx context.Context, p Process, k *kong.Context) error {
	verb := k.Selected().Name
	return ctl(ctx, p, order{verb: verb, text: words(verb, c.ID), answering: c.answering})
}

type ctlSilence struct {
	Rest []string `arg:"" optional:"" name:"id" help:"The incident's ID, and for how long, as in 1x2y3z 2h. Left out: the one that is open, for an hour."`
	answering
}

// Run silences an incident.
func (c ctlSilence) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "silence", text: words("silence", c.Rest...), answering: c.answering})
}

// words joins what would be typed after /deploy.
func words(verb string, rest ...string) string {
	return strings.TrimSpace(strings.Join(append([]string{verb}, rest...), " "))
}

// order is one command of ctl.
type order struct {
	verb   string // one of plan.Abilities
	target string // as typed; "" with status or incidents: everything, and with what is about an incident
	text   string // what would be typed after /deploy; "" for an answer
	answer rollout.Verb
	ask    string
	direct bool
	export string // folder for receipts; "": none are written
	following
	answering
}

// check finds what is wrong with an order by itself, and reads its target; known is false for the ID of
// a rollout and for status of everything.
func (o order) check(file *plan.File) (target plan.Target, known bool, err error) {
	if strings.ContainsAny(o.target, " \t\n\"'`") {
		return target, false, misuse(fmt.Sprintf("%q is not a target", o.target))
	}
	if len(o.Token) > maxToken || strings.ContainsFunc(o.Token, func(r rune) bool { return r < ' ' }) {
		return target, false, misuse(fmt.Sprintf("a token has at most %d characters, all of which can be seen", maxToken))
	}
	if o.text != "" {
		if _, err := commands.Parse(o.text); err != nil {
			return target, false, misuse(terminal{}.render(err.Error()))
		}
	}
	if o.target == "" {
		return target, false, nil
	}
	for _, spelling := range []string{o.target, strings.ToLower(o.target)} {
		if target, err = plan.ParseTarget(file, spelling); err == nil {
			return target, true, nil
		}
	}
	if o.answer != "" && regexp.MustCompile(`^[a-z2-7]{6}$`).MatchString(o.target) {
		return plan.Target{}, false, nil // the ID of a rollout
	}
	return plan.Target{}, false, misuse(err.Error())
}

const maxToken = 200

// ctl carries an order out and says how it went.
func ctl(ctx context.Context, p Process, o order) (err error) {
	c, err := fromEnv(p.Getenv, slices.DeleteFunc(CtlSettings(), func(s Setting) bool { return s.Name == "REDIS_URL" && o.direct }))
	if err != nil && o.verb == "rollback" && !o.direct && p.Getenv("REDIS_URL") == "" {
		return fmt.Errorf("%w\nWithout Redis: slipway ctl rollback --direct", err)
	}
	if err != nil {
		return err
	}
	if c.Identity != "" && c.GCPEndpoint == "" {
		return fmt.Errorf("SLIPWAY_IDENTITY counts only with SLIPWAY_GCP_ENDPOINT, a local stand-in: unset it; Google says whose its credentials are")
	}
	c.Dial, c.Log = p.Dial, ctlLog(p.Stderr)
	target, known, err := o.check(c.File)
	if err != nil {
		return err
	}
	s := &session{Config: c, order: o, target: target, known: known, out: p.Stdout, aside: p.Stderr, terminal: terminal{file: c.File}}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.run(ctx)
}
