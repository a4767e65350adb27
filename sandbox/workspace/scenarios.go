package workspace

import (
	"time"

	"slipway/sandbox/fakegcp"
)

// Scenarios are the ones that -scenario knows, the default first.
func Scenarios() []Scenario {
	outdated := fakegcp.Behavior{ErrorRate: 0.72, Exception: moduleNotFound}
	healthy := fakegcp.Behavior{ErrorRate: 0.005}
	faulty := fakegcp.Behavior{ErrorRate: 0.3, Exception: "KeyError: 'session_id'"}
	return []Scenario{{
		Name:  "ssot",
		About: "staging runs outdated code and answers 72% of its requests with errors; the new image brings that below 5%",
		RPS:   40, Old: outdated, New: fakegcp.Behavior{ErrorRate: 0.009},
	}, {
		Name:  "bad-deploy",
		About: "staging is healthy, and the new image answers 30% of its requests with errors; traffic goes back by itself",
		RPS:   40, Old: healthy, New: faulty,
	}, {
		Name:  "worse-than-before",
		About: "the new image errs at 30%, yet the old one at 72%: nothing moves by itself, and people decide",
		RPS:   40, Old: outdated, New: faulty,
	}, {
		Name:  "crash-on-start",
		About: "the new image exits before it listens; no traffic ever reaches it",
		RPS:   40, Old: healthy, New: fakegcp.Behavior{CrashOnStart: true, Exception: moduleNotFound},
	}, {
		Name:  "low-traffic",
		About: "staging gets one request in 20 seconds, too few to tell a good image from a bad one",
		RPS:   0.05, Old: healthy, New: healthy, Plan: oneGate(10, "below: 5%, budget: 1m, "+quick),
	}, {
		Name:  "low-traffic-probes",
		About: "staging gets one request in 20 seconds, and whoever is on call lets Slipway send requests of its own",
		RPS:   0.05, Old: healthy, New: healthy, Plan: oneGate(10, "below: 5%, budget: 1m, "+quick),
	}, {
		Name:  "bursty",
		About: "the new image errs at 7%, all of it in bursts of 5 seconds, between which nothing is wrong",
		RPS:   20, Old: healthy, New: fakegcp.Behavior{ErrorRate: 0.07, ErrorBursts: 5 * time.Second, Exception: "TimeoutError: connection pool"},
		Plan: oneGate(50, "below: 5%, evidence: buckets, compare: old, "+quick),
	}, {
		Name:  "warm-up-errors",
		About: "the new image errs for its first 20 seconds only, which the gate does not count",
		RPS:   40, Old: healthy, New: fakegcp.Behavior{ErrorRate: 0.3, ErrorsUntil: 20 * time.Second, Exception: "ConnectionError: cache"},
		Plan: oneGate(10, "below: 5%, warm_up: 30s, min_time: 40s, max_latency: 5s"),
	}, {
		Name:  "slow-errors",
		About: "what fails on the new image takes 30 seconds, and is logged only then; the gate waits for it",
		RPS:   40, Old: healthy, New: fakegcp.Behavior{ErrorRate: 0.3, ErrorLatency: 30 * time.Second, Exception: "TimeoutError: database"},
		Plan: oneGate(50, "below: 5%, warm_up: 5s, min_time: 20s, max_latency: 45s"),
	}, {
		Name:  "late-fail",
		About: "the new image is fine until some time after the rollout ended, and then errs at 30%",
		RPS:   40, Old: healthy, New: fakegcp.Behavior{ErrorRate: 0.3, ErrorsAfter: 90 * time.Second, Exception: "MemoryError"},
		Plan: oneGate(10, "below: 5%, "+quick),
	}, {
		Name:  "dropped-logs",
		About: "only 40% of the requests are in the log, so that Cloud Monitoring counts them, three minutes later",
		RPS:   40, Old: outdated, New: fakegcp.Behavior{ErrorRate: 0.009}, Plan: oneGate(10, "below: 5%, "+quick),
		Faults: []fakegcp.Fault{{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Share: 0.6, Count: -1}},
	}, {
		Name:  "incident",
		About: "nobody deploys; some time after its deploy the serving revision begins to answer 72% of its requests with a new error",
		RPS:   20, Old: healthy, NewServes: true, Took: 10 * time.Minute, Alerts: true, Plan: incidentPlan,
		New: fakegcp.Behavior{ErrorRate: 0.72, ErrorsAfter: 11 * time.Minute, Exception: moduleNotFound},
	}, {
		Name:  "incident-at-start",
		About: "nobody deploys; the serving revision has answered 72% of its requests with a new error for some minutes when Slipway begins to watch",
		RPS:   20, Old: healthy, NewServes: true, Took: 10 * time.Minute, Alerts: true, Plan: incidentPlan,
		New: fakegcp.Behavior{ErrorRate: 0.72, ErrorsAfter: 6 * time.Minute, Exception: moduleNotFound},
	}, {
		Name:  "permission-missing",
		About: "the account of Slipway may not update the service; that is found before anything is deployed",
		RPS:   40, Old: healthy, New: healthy, Denied: []string{"run.services.update"},
	}, {
		Name:  "someone-else-deployed",
		About: "another pipeline changes the service while the rollout is under way",
		RPS:   40, Old: healthy, New: healthy,
	}, {
		Name:  "migration-ran",
		About: "the new image errs at 30%, but the database was migrated for it: going back is for people to decide",
		RPS:   40, Old: healthy, New: faulty, Plan: migrationPlan,
	}}
}
