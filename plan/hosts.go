package plan

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// MatchHost reports whether one of an environment's hosts allows host, a name or IP address without
// its port. "*.example.com" allows every name below example.com, and not example.com itself.
func MatchHost(hosts []string, host string) bool {
	host = plainHost(host)
	return slices.ContainsFunc(hosts, func(pattern string) bool {
		if parent, ok := strings.CutPrefix(pattern, "*"); ok {
			return strings.HasSuffix(host, parent) && len(host) > len(parent)
		}
		return host == pattern
	})
}

// ForbiddenHost reports whether host, a name or IP address without its port, is one that no step may
// ever call: the metadata server, which gives the bot's credentials to whoever asks it, and the
// link-local addresses among which it is.
// https://cloud.google.com/compute/docs/metadata/querying-metadata
func ForbiddenHost(host string) bool {
	host = plainHost(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap().WithZone("")
		return ip.IsLinkLocalUnicast() || ip == netip.MustParseAddr("fd20:ce::254")
	}
	return slices.Contains([]string{"metadata.google.internal", "metadata.goog", "metadata"}, host)
}

// plainHost is a host as it is compared: in small letters, without the dot of a full name.
func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// hosts checks the hosts that an environment lists.
func (v *validator) hosts(e *Environment) {
	known := regexp.MustCompile(`^(\*\.([a-z0-9-]+\.)+)?[a-z0-9-]+(\.[a-z0-9-]+)*$`)
	for i := range e.Hosts {
		host := &e.Hosts[i]
		switch {
		case *host == "":
		case !known.MatchString(*host):
			v.errorf(v.where(host), "Write a name in small letters without scheme, port and path: api.example.com, or *.example.com for all below it.",
				"%q is not a host", *host)
		case ForbiddenHost(*host):
			v.errorf(v.where(host), "Remove it.", "%s gives out the bot's own credentials; no step may call it", *host)
		case slices.Contains(e.Hosts[:i], *host):
			v.errorf(v.where(host), "Keep one of the two.", "%s is here twice", *host)
		}
	}
}

// callsIn warns of requests that an environment's hosts do not allow, as far as the file tells: where
// a reference or a service's own address leads shows when the step runs.
func (v *validator) callsIn(s *Step, e *Environment) {
	for i := range s.HTTP {
		v.callIn(&s.HTTP[i].URL, e)
	}
	if s.WebSocket != nil {
		v.callIn(&s.WebSocket.URL, e)
	}
}

func (v *validator) callIn(address *string, e *Environment) {
	host, ok := literalHost(*address)
	if ok && !MatchHost(e.Hosts, host) {
		v.warnf(v.where(address), "Add it to "+e.Name+": hosts: ["+host+"]. Only a service's own address needs no such line; write that as ${SERVICE.url}.",
			"%s is not among the hosts that %s may call, so this request will be refused", host, e.Name)
	}
}

// literalHost returns the host of an address unless a reference stands in its place.
func literalHost(address string) (string, bool) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" || strings.Contains(parsed.Host, "$") {
		return "", false
	}
	return parsed.Hostname(), true
}
