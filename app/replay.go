package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

type replayCmd struct {
	Entries string       `arg:"" completes:"file" help:"The file of entries, as gcloud logging read --format=json writes it or with one entry a line; - is standard input."`
	Limit   plan.Percent `help:"A service's error rate has to be below this. Without it: what its alerts in --file say, else 5%." placeholder:"5%"`
	SLO     plan.Percent `name:"slo" help:"The share of requests that has to succeed, as in 99.5%: look for slow leaks too. Before what --file says." placeholder:"99.5%"`
	Match   []string     `help:"A log line with this text is an incident when it first appears in a revision. May be given more than once. In place of what --file says." placeholder:"TEXT" sep:"none"`
	Env     string       `help:"The environment: which one of --file, or how to call it." placeholder:"NAME"`
	File    string       `help:"Watch the services that have alerts in this deploy.yaml, for what those say; if none has, all of the environment. Without it: each that has an entry." placeholder:"deploy.yaml"`
	JSON    bool         `name:"json" help:"Print JSON."`
}

// Help is shown by --help.
func (replayCmd) Help() string {
	return fmt.Sprintf(`Exit status: %d the entries were replayed, whatever was found; %d they could not be read, or none of the lines was one; %d the question was wrong.

The entries may be in any order: they are sorted by when Cloud Logging received them. Requests are counted
by resource.type="cloud_run_revision" log entries with an httpRequest, errors are those with a status of 500
and above, and Slipway's own probes are left out. Containers of a revision that end with an error, or do not
begin to listen, twice within five minutes are an incident too; of a service that has alerts in --file, if they
say so with crash_on_start. Nobody acknowledges or silences anything.
Times are in UTC. It takes about 1 KB of memory an entry.`,
		exitOK, exitFailed, exitUsage)
}

// Run replays the entries and prints what was found.
func (c replayCmd) Run(stdout io.Writer) error {
	subjects, err := c.subjects()
	if err != nil {
		return misuse(err.Error())
	}
	entries, malformed, err := c.read()
	if err != nil {
		return err
	}
	if len(entries) == 0 && malformed.Count > 0 {
		return fmt.Errorf("%s: nothing in it is a log entry: %s", c.Entries, strings.Join(malformed.First, "; "))
	}
	if c.File == "" {
		subjects = incident.Subjects(entries, c.Env, c.rules(nil))
	}
	report, err := incident.Replay(entries, subjects)
	if err != nil {
		return misuse(err.Error())
	}
	report.Malformed = malformed
	if c.JSON {
		return printReport(stdout, report)
	}
	_, err = io.WriteString(stdout, describe(report))
	return err
}

// usualLimit is what a service is held to of which nothing else is said.
const usualLimit plan.Percent = 0.05

// rules are those of the command line over what deploy.yaml says, if it says anything.
func (c replayCmd) rules(a *plan.Alerts) incident.Rules {
	rules := incident.Rules{ErrorRate: usualLimit, CrashOnStart: true}
	if a != nil {
		rules = incident.RulesOf(*a)
	}
	rules.ErrorRate, rules.SLO = cmp.Or(c.Limit, rules.ErrorRate), cmp.Or(c.SLO, rules.SLO)
	if len(c.Match) > 0 {
		rules.LogMatches = c.Match
	}
	return rules
}

// subjects are the services of --file; none without it.
func (c replayCmd) subjects() ([]incident.Subject, error) {
	if _, err := incident.NewWatch(plan.Target{}, c.rules(nil)); err != nil {
		return nil, err
	}
	if c.SLO >= 1 {
		return nil, errors.New("--slo 100%: no request may fail then, and there is no budget that could leak")
	}
	if c.File == "" {
		return nil, nil
	}
	file, err := plan.LoadFile(c.File)
	if err != nil {
		return nil, err
	}
	env, err := c.environment(file)
	if err != nil {
		return nil, err
	}
	unwatched := !slices.ContainsFunc(env.Services, func(s *plan.Service) bool { return env.AlertsOf(s.Name) != nil })
	var list []incident.Subject
	for _, s := range env.Services {
		if alerts := env.AlertsOf(s.Name); alerts != nil || unwatched {
			target := plan.Target{Environment: env.Name, Service: s.Name}
			list = append(list, incident.Subject{Target: target, CloudRun: s.CloudRun, Location: s.Region, Rules: c.rules(alerts)})
		}
	}
	for i := range list {
		list[i].Rules.Services = len(list)
	}
	return list, nil
}

func (c replayCmd) environment(file *plan.File) (*plan.Environment, error) {
	if c.Env == "" && len(file.Environments) == 1 {
		return file.Environments[0], nil
	}
	if c.Env == "" {
		return nil, fmt.Errorf("%s has %d environments: say which with --env", c.File, len(file.Environments))
	}
	target, err := plan.ParseTarget(file, c.Env)
	if err != nil {
		return nil, err
	}
	if target.Service != "" {
		return nil, fmt.Errorf("--env %s: name the environment alone, %s", c.Env, target.Environment)
	}
	return file.Environment(target.Environment), nil
}

func (c replayCmd) read() ([]incident.Entry, incident.Malformed, error) {
	var in io.Reader = os.Stdin
	if c.Entries != "-" {
		f, err := os.Open(c.Entries)
		if err != nil {
			return nil, incident.Malformed{}, err
		}
		defer f.Close()
		in = f
	}
	var entries []incident.Entry
	malformed, err := incident.Decode(in, func(e incident.Entry) { entries = append(entries, e) })
	return entries, malformed, err
}

// printReport adds to each incident what people would have read.
func printReport(stdout io.Writer, report incident.Report) error {
	type told struct {
		Headline string `json:"headline"`
		incident.Incident
	}
	list := []told{}
	for _, i := range report.Incidents {
		list = append(list, told{i.Headline(i.Opened.UTC()), i})
	}
	return printIndented(stdout, struct {
		incident.Report
		Incidents []told `json:"incidents"`
	}{report, list})
}

func describe(report incident.Report) string {
	var b strings.Builder
	for _, i := range report.Incidents {
		describeIncident(&b, i)
	}
	fmt.Fprintf(&b, "%s in %s", capital(rollout.Counted(int64(len(report.Incidents)), "incident")), entriesOf(report.Entries))
	if report.Entries > 0 {
		fmt.Fprintf(&b, " from %s to %s UTC", day(report.From), day(report.Until))
	}
	b.WriteString(".\n")
	if report.Called > 0 {
		fmt.Fprintf(&b, "Somebody would have been called %s.\n", often(report.Called))
	}
	for _, left := range []struct {
		count int64
		why   string
	}{
		{report.Others, "not of a service that is watched"},
		{report.Stats.Repeated, "copies of others"},
		{report.Stats.Probes, "Slipway's own probes"},
		{report.Stats.Late, "received more than two minutes late, and not counted"},
		{report.Dropped, "errors beyond the number of groups that are kept"},
	} {
		if left.count > 0 {
			fmt.Fprintf(&b, "%s: %s.\n", entriesOf(left.count), left.why)
		}
	}
	if m := report.Malformed; m.Count > 0 {
		fmt.Fprintf(&b, "%s: no log entry.\n", rollout.Counted(m.Count, "piece"))
		for _, why := range m.First {
			fmt.Fprintf(&b, "  %s\n", why)
		}
	}
	return b.String()
}

func describeIncident(b *strings.Builder, i incident.Incident) {
	fmt.Fprintf(b, "%s\n", i.Headline(i.Opened.UTC()))
	e := i.Evidence
	fmt.Fprintf(b, "  began %s, told %s, ", day(e.Since), hours(i.Fired))
	switch i.State {
	case incident.Resolved:
		fmt.Fprintf(b, "ended %s, resolved %s\n", hours(e.Until), hours(i.Resolved))
	case incident.Flapping:
		b.WriteString("coming and going when the entries end\n")
	default:
		b.WriteString("still going on when the entries end\n")
	}
	if e.Requests > 0 {
		fmt.Fprintf(b, "  %s of %s; the worst minute %s\n", rollout.Count(e.Errors), rollout.Counted(e.Requests, "request"), rollout.Percent(e.Worst()))
	}
	for _, g := range i.Groups {
		fmt.Fprintf(b, "  %s × %s%s\n", rollout.Count(g.Count), g.Title, brought(g))
		if g.Frame != "" {
			fmt.Fprintf(b, "      in %s\n", g.Frame)
		}
	}
	if i.Example != "" {
		first, _, _ := strings.Cut(i.Example, "\n")
		fmt.Fprintf(b, "  for example: %s\n", first)
	}
	b.WriteString("\n")
}

func brought(g incident.Group) string {
	if g.New == "" {
		return ""
	}
	return ", new in " + g.New
}

func entriesOf(n int64) string {
	switch n {
	case 0:
		return "no entries"
	case 1:
		return "1 entry"
	}
	return rollout.Count(n) + " entries"
}

func often(n int64) string {
	if n == 1 {
		return "once"
	}
	return rollout.Count(n) + " times"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func day(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05") }

func hours(t time.Time) string { return t.UTC().Format("15:04:05") }
