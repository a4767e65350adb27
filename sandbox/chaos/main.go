// Chaos runs the real bot as several processes on a real Redis against the local Slack and Cloud Run,
// kills, freezes and cuts off what it can while people deploy, and then looks whether anything was lost
// or happened twice. Its exit status is 0 if not, 1 if so, and 2 if it could not find out.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"
)

type options struct {
	Rollouts int           `default:"20" help:"How many rollouts people start."`
	Limit    time.Duration `default:"5m" help:"Nobody starts another one after so long."`
	Seed     uint64        `help:"What is drawn at random depends on it; left out, it is drawn too."`
	Bots     int           `default:"3" help:"How many replicas there are."`
	Gate     time.Duration `default:"2s" help:"How long the gate of each rollout takes at least; with 0 there is none."`
	Takeover bool          `help:"Measure how long it takes until another replica goes on with the work of one that is killed or terminated."`
	Times    int           `default:"12" help:"How often each takeover is measured."`
	Freeze   bool          `help:"Do nothing but freeze replicas that are about to change something, for longer than their lease."`
	Control  bool          `help:"Freeze, with the fences and the preconditions taken away. Effects have to double then, so that this ends with 1."`
	Keep     bool          `help:"Keep the logs even if all is well."`
}

// Exit statuses.
const (
	exitClean    = 0
	exitViolated = 1
	exitUnknown  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out io.Writer) int {
	var o options
	helped := false
	parser, err := kong.New(&o, kong.Name("chaos"), kong.Description("Kills bots and their Redis while people deploy, and looks whether anything was lost or doubled."),
		kong.Writers(out, out), kong.Exit(func(int) { helped = true }))
	if err == nil {
		_, err = parser.Parse(doubleDash(args))
	}
	if helped {
		return exitClean
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64() % 1_000_000
	}
	clean := false
	if err == nil {
		clean, err = o.arm(ctx, out)
	}
	switch {
	case err != nil:
		fmt.Fprintln(out, "chaos:", err)
		return exitUnknown
	case !clean:
		return exitViolated
	}
	return exitClean
}

// doubleDash lets flags be written with one dash, as Go's own programs take them.
func doubleDash(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func (o options) arm(ctx context.Context, out io.Writer) (clean bool, err error) {
	if o.Takeover {
		return o.takeover(ctx, out)
	}
	return o.chaos(ctx, out)
}

// chaos is one run. A control ends as soon as it has what it came for.
func (o options) chaos(ctx context.Context, out io.Writer) (clean bool, err error) {
	w, err := newWorld(ctx, settings{
		seed: o.Seed, services: []string{"cart", "search", "users", "mail", "media"}, bots: o.Bots, gate: o.Gate, strict: !o.Control,
	})
	if err != nil {
		return false, err
	}
	defer w.close()
	fmt.Fprintf(out, "seed %d: %d bots, %d rollouts of %d services, at most %v\n", o.Seed, o.Bots, o.Rollouts, len(w.services), o.Limit)
	redis.SetLogger(quiet{}) // it is killed on purpose
	began := time.Now()
	j, seen := newJudge(), newWatch(w)
	watching, blind := context.WithCancel(ctx)
	var eyes sync.WaitGroup
	eyes.Go(func() { seen.run(watching) })
	o.act(ctx, w, j, seen)
	if o.Control { // it was cut short: only what doubled until then is of interest
		j.effects(w.ledger)
	} else {
		err = rest(ctx, w, j, seen)
	}
	blind()
	eyes.Wait()
	if err == nil && !o.Control {
		err = j.examine(ctx, w, seen)
	}
	if err != nil {
		return false, errors.Join(err, fmt.Errorf("the logs are in %s", w.dir))
	}
	lasted := time.Since(began)
	w.close() // before what it writes to is removed
	o.sum(out, w, j, lasted)
	return j.clean(), nil
}

type quiet struct{}

// Printf drops what the Redis client says of connections that broke.
func (quiet) Printf(context.Context, string, ...any) {}

// sum prints the run and keeps what helps to understand a violation.
func (o options) sum(out io.Writer, w *world, j *judge, lasted time.Duration) {
	j.report(out)
	verdict, keep := "nothing lost, nothing twice", o.Keep
	switch {
	case o.Control && j.clean():
		verdict = "the control doubled nothing, so that the other run proves nothing"
	case o.Control:
		verdict = "the control doubled effects, as it has to"
	case !j.clean():
		verdict, keep = fmt.Sprintf("VIOLATED; the logs are in %s, and -seed %d makes the same kind of run again", w.dir, o.Seed), true
	}
	fmt.Fprintf(out, "%v: %s\n", lasted.Round(time.Second), verdict)
	if !keep {
		w.remove()
	}
}

// act lets people deploy and the monkey strike, until all is deployed or the time is over.
func (o options) act(ctx context.Context, w *world, j *judge, seen *watch) {
	acting, stop := context.WithCancel(ctx)
	defer stop()
	m := &monkey{world: w, judge: j, random: rand.New(rand.NewPCG(o.Seed, 1)), freezes: o.Freeze || o.Control}
	var monkeys, people sync.WaitGroup
	monkeys.Go(func() { m.run(acting) })
	if o.Control {
		monkeys.Go(func() { untilDoubled(acting, w.ledger, stop) })
	}
	last := time.Now().Add(o.Limit)
	for i, service := range w.services {
		t := &team{world: w, watch: seen, judge: j, service: service}
		people.Go(func() {
			for n := i; n < o.Rollouts && time.Now().Before(last) && acting.Err() == nil; n += len(w.services) {
				if err := t.deploy(acting, n/len(w.services)); err != nil && acting.Err() == nil {
					j.violation("setup", "%s: %v", service, err)
					return
				}
			}
		})
	}
	people.Wait()
	stop()
	monkeys.Wait()
}

func untilDoubled(ctx context.Context, l *ledger, stop func()) {
	for pause(ctx, time.Second) {
		if keys, _ := l.doubled(); len(keys) > 0 {
			stop()
		}
	}
}

// restTime is how long everything may take to come to rest; see patience.
const restTime = 4 * time.Minute

// rest heals the world and waits until nothing is left to do: what was late in coming is tended too.
func rest(ctx context.Context, w *world, j *judge, seen *watch) error {
	w.heal()
	if err := w.redis.start(ctx); err != nil {
		return err
	}
	if err := w.awaitBots(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	for ctx.Err() == nil {
		for _, r := range seen.all() {
			t := &team{world: w, watch: seen, judge: j, service: r.Target.Service}
			_ = t.tend(ctx, r.ID) // that it did not end in time is the judge's to say
		}
		if resting(ctx, w) {
			return nil
		}
		pause(ctx, 200*time.Millisecond)
	}
	return nil
}

// resting reports whether nothing is waiting to be done.
func resting(ctx context.Context, w *world) bool {
	for _, set := range []string{"active", "outbox", "inbox:waiting", "inbox:taken"} {
		if n, err := w.client.ZCard(ctx, "{slipway}:"+set).Result(); err != nil || n > 0 {
			return false
		}
	}
	return true
}
