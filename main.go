// Slipway deploys to Cloud Run from Slack.
package main

import (
	"context"
	_ "embed"
	"os"
	"os/signal"
	"syscall"

	"slipway/app"
)

// version is set by the Dockerfile (-ldflags "-X main.version=…"), which has no version control to ask.
var version string

// manifest is the Slack app that Slipway is, each right with its reason.
//
//go:embed slack-app-manifest.yaml
var manifest string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Main(ctx, app.Process{
		Args: os.Args[1:], Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr,
		Version: version, Manifest: manifest,
	})
	stop()
	os.Exit(code)
}
