// Fakeslack is a local Slack for any app, in any language, that uses Socket Mode: its API, its socket
// and its rules on loopback, and a page in the browser on which one is its people.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/page"
	"slipway/sandbox/ports"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakeslack:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	listener, err := ports.Open([]ports.Port{{Flag: "-listen", Given: o.listen, Default: 8190}}, func(addresses []string) (net.Listener, error) {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", addresses[0])
	})
	if err != nil {
		return err
	}
	return o.serve(ctx, listener, stdout, stderr)
}

// options are what the flags say.
type options struct {
	listen   string
	app      string
	channels []string
	users    []string
	seed     uint64
	verbose  bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("fakeslack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "", "`HOST:PORT` of the page, the API at /api/, the socket at /link, control at /_control/; left out: 127.0.0.1:8190, or the next free one")
	flags.StringVar(&o.app, "app", "app", "`NAME` of the app, which mentions begin with")
	channels := flags.String("channel", "general,random", "`NAMES` of the channels, with commas; everybody is in all of them")
	users := flags.String("user", "member,manager,guest", "`NAMES` of the people, with commas; one who is called guest is a guest in Slack's sense")
	flags.Uint64Var(&o.seed, "seed", 1, "what is left to chance is drawn from it: which of several connections gets an event")
	flags.BoolVar(&o.verbose, "v", false, "log every call to standard error, not only what is wrong")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag; -help lists them", flags.Arg(0))
	}
	o.channels, o.users = strings.Split(*channels, ","), strings.Split(*users, ",")
	return o, o.check()
}

// headerTimeout bounds how long a client may take to say what it wants.
const headerTimeout = 10 * time.Second

// serve owns the listener.
func (o options) serve(ctx context.Context, listener net.Listener, stdout, stderr io.Writer) error {
	address := listener.Addr().String()
	log := o.log(stderr)
	cfg := o.team("http://"+address, log)
	slack := fakeslack.New(cfg)
	defer slack.Close()
	environment := []string{"SLACK_APP_TOKEN=" + cfg.AppToken, "SLACK_BOT_TOKEN=" + cfg.BotToken, "SLACK_API_URL=" + cfg.BaseURL + "/api/"}
	people, err := page.New(page.Config{Slack: slack, Host: address, Environment: environment, Log: log})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer people.Close()
	server := &http.Server{
		Handler: people.Site(slack.ControlHandler()), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "Open %s in a browser: a Slack for your app. Ctrl-C ends it. The app finds it with:\n%s\n", cfg.BaseURL, strings.Join(environment, "\n"))
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", address, err)
	case <-ctx.Done():
	}
	err = server.Close()
	<-served
	return err
}

// log is about what an app did wrong, such as calling a method that is not emulated, or about everything.
func (o options) log(stderr io.Writer) *slog.Logger {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}
