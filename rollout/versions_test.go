package rollout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/state"
)

// The files schemaN-….json are snapshots as a bot of schema N wrote them, from rollouts that began when the
// clock of a bubble does. They are never made anew: a newer bot finishes what an older one began.

// finish is what people and the cloud do to bring a kept snapshot to its end.
type finish struct {
	say    rollout.Verb // the answer to the open question; "": none is open
	result rollout.Result
}

func kept() map[string]finish {
	return map[string]finish{
		"schema1-job-runs":           {say: "", result: rollout.Succeeded}, // asks for approval on its way
		"schema1-waits-for-approval": {say: rollout.VerbApprove, result: rollout.Succeeded},
		"schema1-in-a-gate":          {result: rollout.Succeeded},
		"schema1-returns":            {result: rollout.RolledBack},
		"schema1-asks-for-a-decision": {
			say: rollout.VerbRetry, result: rollout.Succeeded,
		},
		"schema2-in-a-second-gate": {result: rollout.Succeeded},
		"schema2-watched":          {result: rollout.Succeeded},
	}
}

func TestKeptSnapshotsAreFinished(t *testing.T) {
	schemas := map[string]bool{}
	for name, want := range kept() {
		schema, _, _ := strings.Cut(name, "-")
		schemas[schema] = true
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { finishKept(t, raw, want) })
		})
	}
	if len(schemas) != rollout.Schema {
		t.Errorf("kept are snapshots of %d schemas, want one of each up to %d", len(schemas), rollout.Schema)
	}
}

func finishKept(t *testing.T, raw []byte, want finish) {
	f := newFleet(t)
	r := f.keep(raw)
	e := f.replicaForAll()
	r = f.until(r.ID, 40*time.Minute, func(r rollout.Rollout) bool {
		for _, a := range r.Asks {
			if a.Answer == nil {
				f.answer(e, r, a, want.say)
				return false
			}
		}
		return over(r) && !r.Watched()
	})
	if r.End.Result != want.result {
		t.Errorf("it ended as %s (%s), want %s", r.End.Result, r.End.Reason, want.result)
	}
	if len(f.cloud.applied) == 0 && r.Watch == nil || len(f.cloud.doubled()) > 0 {
		t.Errorf("effects %v, want each once", f.cloud.applied)
	}
}

// keep puts a snapshot into Redis, byte by byte as it was written, at the moment at which it was.
func (f *fleet) keep(raw []byte) rollout.Rollout {
	f.t.Helper()
	var r rollout.Rollout
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields() // a field that is not known any more would be lost
	if err := decoder.Decode(&r); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(time.Until(newest(r)))
	if _, err := f.store.Create(f.t.Context(), r, nil); err != nil {
		f.t.Fatal(err)
	}
	f.redis.HSet("{slipway}:rollout:"+r.ID, "snapshot", string(raw))
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status == rollout.StepRunning && s.Handle != "" { // the cloud knows of it, by its handle too
				f.cloud.apply(rollout.Key{Rollout: r.ID, Step: s.ID, Attempt: s.Attempt}.String())
				f.cloud.begun[s.Handle] = time.Now()
			}
		}
	}
	return r
}

// newest is the last moment that a snapshot speaks of as past.
func newest(r rollout.Rollout) time.Time {
	at := r.Created
	later := func(moment time.Time) {
		if moment.After(at) {
			at = moment
		}
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			later(s.Started)
			later(s.Ended)
		}
	}
	for _, a := range r.Asks {
		later(a.Opened)
	}
	return at
}

// replicaForAll starts an engine whose cloud can do every kind of step that acts.
func (f *fleet) replicaForAll() *rollout.Engine {
	f.t.Helper()
	actions := map[plan.Kind]rollout.Action{}
	for _, k := range []plan.Kind{
		plan.KindJob, plan.KindDeploy, plan.KindTraffic, plan.KindErrorRate, plan.KindNoLogs,
		plan.KindPermissions, plan.KindRollbackTarget, plan.KindHTTP, plan.KindWebSocket,
	} {
		actions[k] = f.cloud
	}
	store := f.connect()
	e := rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: inspector{}, Actions: actions, Requests: &traffic{}, Observer: nobody{},
		Owner: "newer", Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)),
	})
	done := make(chan struct{})
	go func() { defer close(done); e.Run(f.t.Context()) }()
	f.t.Cleanup(func() { <-done })
	return e
}

// answer says what was to be said, and approves what has to be approved on the way.
func (f *fleet) answer(e *rollout.Engine, r rollout.Rollout, a rollout.Ask, say rollout.Verb) {
	f.t.Helper()
	if say == "" || a.Kind == rollout.AskApproval {
		say = rollout.VerbApprove
	}
	by := rollout.Actor{ID: "U0APPROVER", Name: "approver"}
	if _, err := e.Tell(f.t.Context(), r.ID, rollout.Event{At: time.Now().UTC(), Kind: rollout.Said, Ask: a.ID, Verb: say, By: &by}); err != nil {
		f.t.Fatal(err)
	}
}

// What a bot of today writes is what the kept snapshots of today's schema are made of: a field that is
// renamed or dropped changes the schema.
func TestKeptSnapshotsSurviveRewriting(t *testing.T) {
	names, err := filepath.Glob("testdata/schema*.json")
	if err != nil || len(names) != len(kept()) {
		t.Fatalf("%d files (%v), want %d", len(names), err, len(kept()))
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r rollout.Rollout
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		if r.Schema != rollout.Schema {
			continue
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, raw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, want.Bytes()) {
			t.Errorf("%s is written otherwise today:\n%s\nwant:\n%s", name, again, want.Bytes())
		}
	}
}

// An older bot leaves alone what a newer one wrote: it neither works on it nor changes it, and says so.
func TestANewerSchemaIsLeftToNewerBots(t *testing.T) {
	raw, err := os.ReadFile("testdata/schema1-in-a-gate.json")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.keep(raw)
		key := "{slipway}:rollout:" + r.ID
		newer := strconv.Itoa(rollout.Schema + 1)
		f.redis.HSet(key, "schema", newer)
		f.redis.HSet(key, "snapshot", `{"schema":`+newer+`,"phases":"in another form"}`)
		e := f.replicaForAll()
		time.Sleep(time.Minute)
		if got := f.redis.HGet(key, "snapshot"); !strings.Contains(got, "another form") {
			t.Errorf("the snapshot was changed: %s", got)
		}
		if owner := f.redis.HGet(key, "owner"); owner != "" {
			t.Errorf("%s has claimed it", owner)
		}
		by := rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"}
		_, err := e.Tell(t.Context(), r.ID, rollout.Event{At: time.Now().UTC(), Kind: rollout.Said, Verb: rollout.VerbAbort, By: &by})
		wantNewer(t, err)
		if all, err := e.Active(t.Context()); len(all) > 0 || err != nil {
			t.Errorf("active: %v, %v, want it left out", all, err)
		}
		if _, ok, err := f.store.ClaimCard(t.Context(), "poster", time.Second); ok || err != nil {
			t.Errorf("its card was claimed (%v)", err)
		}
		other := request(jobs(1)...)
		if _, err := e.Start(t.Context(), other); err == nil {
			t.Error("a second rollout began beside it, though it holds the lock")
		}
	})
}

func wantNewer(t *testing.T, err error) {
	t.Helper()
	var newer *state.SchemaError
	if !errors.As(err, &newer) || newer.Found != rollout.Schema+1 || !strings.Contains(newer.SafeReason(), "upgrade this replica.") {
		t.Errorf("%v, want that a newer version wrote it", err)
	}
}
