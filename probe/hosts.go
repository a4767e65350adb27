package probe

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"slipway/plan"
	"slipway/rollout"
)

// fence keeps the requests of a step to the hosts that it may call: the addresses of the rollout's
// services and of their tags, and the environment's hosts.
type fence struct {
	own   []string // "host:port"
	hosts []string
}

func newFence(t rollout.Task) fence {
	f := fence{hosts: t.Hosts}
	for _, s := range t.Services {
		for _, address := range []string{s.URL, s.Candidate.URL, s.Stable.URL} {
			if u, err := url.Parse(address); err == nil && u.Host != "" {
				f.own = append(f.own, hostPort(u))
			}
		}
	}
	return f
}

// hostError is a request that was not made because of where it would have gone.
type hostError struct{ host string }

func (e *hostError) Error() string {
	if plan.ForbiddenHost(e.host) {
		return fmt.Sprintf("no step may call %s: it gives out Slipway's own credentials", e.host)
	}
	return fmt.Sprintf("it may not call %s; if it should, add that to the environment's hosts in deploy.yaml", e.host)
}

// allow returns nil, or a *hostError.
func (f fence) allow(u *url.URL) error {
	host := u.Hostname()
	if plan.ForbiddenHost(host) {
		return &hostError{host}
	}
	if plan.MatchHost(f.hosts, host) {
		return nil
	}
	for _, own := range f.own {
		if own == hostPort(u) {
			return nil
		}
	}
	return &hostError{host}
}

// refuse returns the end of a step that would call address, or nil if it may.
func (f fence) refuse(address string) *rollout.Outcome {
	u, err := url.Parse(address)
	if err != nil {
		bad := failed("host_refused", "The URL is malformed; correct it in deploy.yaml.", "")
		return &bad
	}
	return refusal(f.allow(u))
}

// redirects bounds how often an answer may send a request on.
const redirects = 10

// follow is the CheckRedirect of clients: a redirect leads to no other hosts than a request.
func (f fence) follow(request *http.Request, via []*http.Request) error {
	if len(via) >= redirects {
		return fmt.Errorf("it was redirected %d times", redirects)
	}
	return f.allow(request.URL)
}

// hostPort is where a URL leads, with its scheme's port if it names none.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" || u.Scheme == "ws" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// RefuseForbidden is a net.Dialer's Control that connects to no address that plan.ForbiddenHost names,
// whatever name led there: an allowed name's DNS entry can be changed by others.
func RefuseForbidden(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("connect to %q: %w", address, err)
	}
	if plan.ForbiddenHost(host) {
		return &hostError{host}
	}
	return nil
}

// refusal says so if a request failed because of where it led.
func refusal(err error) *rollout.Outcome {
	var host *hostError
	if !errors.As(err, &host) {
		return nil
	}
	bad := failed("host_refused", sentence(host), "")
	return &bad
}
