package play_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"slipway/app"
	"slipway/plan"
	"slipway/sandbox/memnet"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// The accounts of these tests, and whom deploy.yaml maps them to.
const (
	ci         = "ci@netra-staging.iam.gserviceaccount.com"
	nightly    = "nightly@netra-staging.iam.gserviceaccount.com"
	reader     = "reader@netra-staging.iam.gserviceaccount.com"
	approver   = "approver@example.com"
	deployer   = "deployer@example.com"
	outsider   = "outsider@example.com"
	stranger   = "stranger@example.com"
	identities = `
identities:
  ` + ci + `: {robot: ci, may: [deploy, status, rollback, lock], groups: ["@backend"]}
  ` + nightly + `: {robot: nightly, may: [deploy]}
  ` + reader + `: {robot: reader, may: [status]}
  ` + approver + `: {slack: U0APPROVER}
  ` + deployer + `: {slack: U0DEPLOYER}
  ` + outsider + `: {slack: U0OUTSIDER}
`
)

// desk is a stage with a shell beside it, in which ctl runs.
type desk struct {
	*stage
	config app.Config
	env    map[string]string
}

// atDesk runs a test in a bubble. Hosts have the names of loopback, which is all that ctl trusts with a
// stand-in's settings.
func atDesk(t *testing.T, scenario workspace.Scenario, test func(t *testing.T, d *desk)) {
	t.Helper()
	yaml, err := os.ReadFile("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.WriteFile("deploy.yaml", append(yaml, identities...), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir.Name(), "deploy.yaml")
	file, err := scenario.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, scenario, file)
		d.env["SLIPWAY_FILE"] = path
		test(t, d)
	})
}

func newDesk(t *testing.T, scenario workspace.Scenario, file *plan.File) *desk {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	w, err := workspace.New(ctx, workspace.Options{
		File: file, Scenario: scenario, Seed: 1, Speed: 1, Listen: "127.0.0.1:80", GCP: "127.0.0.1:443", Memory: memnet.New(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := w.App("test")
	a, err := app.New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		w.Close()
	})
	if err := w.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return &desk{stage: &stage{Workspace: w, Player: play.New(w, channel, &out), out: &out}, config: config, env: map[string]string{
		"SLACK_BOT_TOKEN": config.SlackBotToken, "SLACK_API_URL": config.SlackAPIURL, "REDIS_URL": config.RedisURL,
		"SLIPWAY_GCP_ENDPOINT": config.GCPEndpoint, "SLIPWAY_REGISTRY": config.Registry,
	}}
}

// ran is what became of a command.
type ran struct {
	code        int
	out, errors string
}

// ctl runs a command with the credentials of an account.
func (d *desk) ctl(ctx context.Context, account, command string) ran {
	env := map[string]string{"SLIPWAY_IDENTITY": account}
	var out, errs bytes.Buffer
	code := app.Main(ctx, app.Process{
		Args: append([]string{"ctl"}, strings.Fields(command)...), Stdout: &out, Stderr: &errs, Dial: d.config.Dial,
		Getenv: func(name string) string {
			if value, ok := env[name]; ok {
				return value
			}
			return d.env[name]
		},
	})
	return ran{code, out.String(), errs.String()}
}

// wants runs a command and compares the exit status and patterns, in order, in what it printed.
func (d *desk) wants(t *testing.T, account, command string, code int, patterns ...string) {
	t.Helper()
	d.ctl(within(t), account, command).wants(t, command, code, patterns...)
}

func (r ran) wants(t *testing.T, command string, code int, patterns ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("ctl %s: exit %d, want %d\n%s%s", command, r.code, code, r.out, r.errors)
	}
	rest := r.out + r.errors
	for _, p := range patterns {
		at := regexp.MustCompile(p).FindStringIndex(rest)
		if at == nil {
			t.Errorf("ctl %s: %q does not follow in\n%s%s", command, p, r.out, r.errors)
			return
		}
		rest = rest[at[1]:]
	}
	if strings.Contains(r.out, "{@") || strings.Contains(r.out, "{t:") || strings.Contains(r.out, "/deploy ") {
		t.Errorf("ctl %s: what is meant for Slack is in\n%s", command, r.out)
	}
}

// found returns a scenario; healthy makes its images so.
func found(t *testing.T, name string, healthy bool) workspace.Scenario {
	t.Helper()
	scenario, err := workspace.FindScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	if healthy {
		scenario.New = scenario.Old
	}
	return scenario
}

// A robot deploys and looks on, a person approves from a shell, and the card and the history say who.
func TestCtlDeploys(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "ssot", false), func(t *testing.T, d *desk) {
		ended := make(chan ran, 1)
		go func() { ended <- d.ctl(within(t), ci, "deploy staging --wait --token run-17") }()
		d.must(t, d.Until(within(t), "the question for approval", play.Has("approve")))

		d.wants(t, outsider, "approve staging", 1, "Only @release-managers may approve this; you are not in it")
		d.wants(t, ci, "approve staging", 1, `ci \(robot\) may not do .approve.`, "has deploy, status, rollback and lock only")
		d.wants(t, ci, "deploy staging --token run-17", 0, "Starting backend on staging")
		d.wants(t, ci, "deploy staging --token run-18", 1, `staging is locked by you since \d\d:\d\d: rollout [a-z2-7]{6} is at phase 2 of 4`, "slipway ctl status staging")
		d.wants(t, approver, "status", 0, `waiting for approval`, `Started by ci \(robot\)`)
		d.wants(t, approver, "approve staging", 0, "Approved: the rollout of backend on staging goes on")
		d.wants(t, approver, "approve staging", 1, "asks nothing to which approve is an answer", "slipway ctl status staging")

		(<-ended).wants(t, "deploy --wait", 0,
			"Starting backend on staging: the card is in #deploys-staging",
			`\d\d:\d\d:\d\d  SSOT refactoring complete: passed`,
			`Waiting for @release-managers until \d\d:\d\d: .*slipway ctl approve staging`,
			`approver: approve`,
			"Shift 10%: started", "Shift 10%: passed. 10% of the traffic goes to "+candidate.String(),
			"Errors at 10%: passed",
			`Rollout [a-z2-7]{6} of staging: it succeeded`)
		d.cardSays(t, "*Deployed: backend on staging")
		card := d.card(t)
		if blocks := card.Text + string(card.Blocks); !strings.Contains(blocks, "started by ci (robot)") || !strings.Contains(blocks, "U0APPROVER") || strings.Contains(blocks, "@"+ci) {
			t.Errorf("the card does not say who it was: %s", blocks)
		}
		d.wants(t, ci, "deploy staging --token run-17 --wait", 0, `Rollout [a-z2-7]{6} of staging: it succeeded`) // the one that ended
		d.wantUpdates(t, created, tenth, all, following)
		d.wants(t, deployer, "history staging", 0, `backend develop-long-lived@[0-9a-f]{7} by ci \(robot\): succeeded`)
		d.wants(t, ci, "history staging", 1, "may not do `history`")
	})
}

// A rollout that does not end well is no success, and one that nobody is asked to follow is.
func TestCtlExits(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "bad-deploy", false), func(t *testing.T, d *desk) {
		ended := make(chan ran, 1)
		go func() { ended <- d.ctl(within(t), deployer, "deploy staging/backend --wait --json") }()
		d.must(t, d.Until(within(t), "the question for approval", play.Has("approve")))
		d.wants(t, deployer, "approve staging/backend", 1, "You started this rollout; someone else of @release-managers must approve it")
		d.wants(t, approver, "approve staging/backend", 0, "Approved")
		r := <-ended
		r.wants(t, "deploy --wait --json", 1, `"result": "rolled_back"`)
		var report struct {
			Done    bool
			Rollout struct{ Result, By, Kind string }
		}
		if err := json.Unmarshal([]byte(r.out), &report); err != nil || !report.Done || report.Rollout.By != "deployer" || report.Rollout.Kind != "deployment" {
			t.Errorf("%v in %+v:\n%s", err, report, r.out)
		}
		if !strings.Contains(r.errors, "Errors at 10%: failed") {
			t.Errorf("what happened is not told beside the object:\n%s", r.errors)
		}
		d.wants(t, approver, "status --json", 0, `"rollouts": \[\]`)
	})
}

func TestCtlRefuses(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "bad-deploy", true), func(t *testing.T, d *desk) {
		d.wants(t, stranger, "deploy staging", 1, "stranger@example.com is nobody in deploy.yaml", "Nothing was done", "identities:\n  stranger@example.com: {slack: U012AB3CD}")
		d.wants(t, "new@x.iam.gserviceaccount.com", "status", 1, "identities:\n  new@x.iam.gserviceaccount.com: {robot: ci, may: ")
		d.wants(t, "", "status", 1, "say in SLIPWAY_IDENTITY whose credentials")
		d.wants(t, reader, "deploy staging", 1, `reader \(robot\) may not do .deploy.: .may. of reader@.* in deploy.yaml has status only. Nothing was done`)
		d.wants(t, reader, "status", 0, "Nothing is rolling out")
		d.wants(t, nightly, "deploy staging", 1, "Only @backend may deploy to staging", "A robot belongs to the `groups` of nightly@")
		d.wants(t, outsider, "deploy staging", 1, "Only @backend may deploy to staging; you are not in it")
		d.wants(t, deployer, "lock staging load test for 2h", 0, `deployer locked staging, until \d\d:\d\d: load test. Nothing rolls out there until .slipway ctl unlock staging.`)
		d.wants(t, ci, "deploy staging", 1, "staging is locked by deployer since .*: load test. Nothing was started. .slipway ctl unlock staging. ends the lock")
		d.wants(t, deployer, "unlock staging", 0, "deployer unlocked staging")
		d.wants(t, deployer, "abort staging", 1, "Nothing is rolling out to staging, so there is nothing to stop")
		d.wants(t, deployer, "approve abcdef", 1, "No rollout of abcdef is under way")
		d.wantUpdates(t)

		delete(d.env, "SLACK_BOT_TOKEN")
		d.wants(t, deployer, "deploy staging", 1, "Could not check whether you are in @backend. Slack was not asked, because SLACK_BOT_TOKEN is not set", "Nothing was done")
		d.wants(t, ci, "lock staging", 0, `ci \(robot\) locked staging`) // its group is in deploy.yaml
		if outsiders := d.answers(workspace.Outsider); outsiders != "" {
			t.Errorf("Slack heard of it: %s", outsiders)
		}
		d.env["SLIPWAY_GCP_ENDPOINT"] = ""
		d.wants(t, deployer, "status", 1, "SLIPWAY_IDENTITY counts only with SLIPWAY_GCP_ENDPOINT")
	})
}

// A rollback with all in place is a rollout with history; without Redis it goes by Cloud Run alone.
func TestCtlRollsBack(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "bad-deploy", true), func(t *testing.T, d *desk) {
		d.must(t, d.Approved(within(t)))
		d.ended(t, "Deployed")
		d.wants(t, ci, "rollback staging logins fail --wait", 0,
			"Rolling back backend to "+stable, `backend to `+stable+`: passed. All traffic is back on `+stable, `Rollback [a-z2-7]{6} of staging: it succeeded`)
		d.wantTraffic(t, "100% STABLE")
		d.wants(t, deployer, "history staging", 0, `backend back to `+stable+` by ci \(robot\): succeeded`)
	})
}

// Redis and Slack are away: the candidate's own note says what served before it.
func TestCtlRescues(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "bad-deploy", true), func(t *testing.T, d *desk) {
		d.must(t, d.Approved(within(t)))
		d.ended(t, "Deployed")
		d.wantTraffic(t, "100% CANDIDATE")
		d.RefuseRedis("LOADING Redis is loading the dataset in memory")
		defer d.RefuseRedis("")
		d.env["SLACK_API_URL"] = "http://127.0.0.1:1/api/"

		d.wants(t, deployer, "deploy staging", 1, "Redis", "Nothing was done")
		d.wants(t, reader, "rollback staging/backend", 1, `reader \(robot\) may not do .rollback.`)
		d.wantTraffic(t, "100% CANDIDATE")
		d.wants(t, stranger, "rollback staging/backend --json", 0, "Redis", "straight to Cloud Run, where the rights of stranger@example.com decide",
			"cannot be written into the history", "A rollout may be under way",
			"backend: Going back to "+stable+": "+candidate.String()+" was rolled out over it",
			"backend: All traffic is back on "+stable)
		d.wantTraffic(t, "100% STABLE")
		d.wants(t, deployer, "rollback staging", 1, "backend: All traffic of backend is on "+stable, "there is nothing to go back from")
		d.wantTraffic(t, "100% STABLE")
	})
}

// What is asked for directly does not touch Redis, though it is there; and nothing else may be direct.
func TestCtlDirect(t *testing.T) {
	t.Parallel()
	atDesk(t, found(t, "bad-deploy", true), func(t *testing.T, d *desk) {
		d.env["REDIS_URL"] = ""
		d.wants(t, deployer, "rollback staging 00040", 1, "REDIS_URL is not set", "rollback --direct")
		d.wants(t, deployer, "rollback staging 00040 --direct", 1, "backend has no revision \"00040\". The newest that can serve: "+stable)
		d.wants(t, deployer, "rollback staging --direct", 1, "has no revision before "+stable)
		d.wants(t, deployer, "deploy staging --direct", 2, "unknown flag --direct")
		d.wantUpdates(t)
	})
}
