package plan

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// This file reads who is notified besides the channel. What opens their doors is named by a variable of the
// bot's environment, and never stands in the file.

func (d *decoder) notifies(n ast.Node) []Notify {
	var list []Notify
	d.hideSecrets("", n)
	d.list(n, "those to notify",
		func(count int) { list = make([]Notify, count) },
		func(i int, item ast.Node) { d.notify(item, &list[i]) })
	return list
}

func (d *decoder) notify(n ast.Node, to *Notify) {
	given := d.object(n, "notify_entry", []field{
		{"pagerduty", false, func(n ast.Node) { to.PagerDuty = d.pagerDuty(n) }},
		{"webhook", false, func(n ast.Node) { to.Webhook = d.webhook(n) }},
	})
	if given != nil && !given[""] && given["pagerduty"] == given["webhook"] {
		d.errorf(n, "Write {pagerduty: …} or {webhook: …}; for both, an entry each.", "an entry of notify is one of those that can be told")
	}
}

func (d *decoder) pagerDuty(n ast.Node) *PagerDuty {
	p := &PagerDuty{URL: PagerDutyEvents}
	d.object(n, "pagerduty", []field{
		{"routing_key", true, d.secret(&p.RoutingKey, "routing key")},
		{"url", false, d.hookURL(&p.URL)},
	})
	return p
}

func (d *decoder) webhook(n ast.Node) *Webhook {
	w := &Webhook{}
	d.object(n, "webhook", []field{
		{"url", true, d.hookURL(&w.URL)},
		{"secret", false, func(n ast.Node) {
			w.Secret = &Value{}
			d.secret(w.Secret, "secret")(n)
		}},
	})
	return w
}

// secret reads the name of a variable, and refuses what would be the secret itself.
func (d *decoder) secret(to *Value, what string) func(ast.Node) {
	return func(n ast.Node) {
		switch d.resolve(n).(type) {
		case nil:
		case *ast.MappingNode, *ast.MappingValueNode:
			d.object(n, "secret", []field{{"env", true, func(n ast.Node) {
				switch v := d.resolve(n).(type) {
				case nil:
				case *ast.StringNode:
					d.variable(&to.Env)(n)
				default: // other messages would repeat it
					d.wrongType(n, v, "the name of a variable")
				}
			}}})
		default:
			d.errorf(n, "Write {env: NAME}, and set that variable for the bot. Take a new one if this one was ever committed.",
				"a %s does not belong in a file that goes into the repository", what)
		}
	}
}

// hookURL reads an address that is told of incidents.
func (d *decoder) hookURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		d.text(to)(n)
		if d.at[to] == nil {
			return
		}
		address, err := url.Parse(*to)
		switch {
		case err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http":
			d.errorf(n, "Write it in full, as in https://hooks.example.com/slipway.", "this is not an address")
		case address.User != nil:
			d.errorf(n, "Leave out what stands before the @: who is told knows the bot by its signature, for which there is secret.",
				"a password does not belong in a file that goes into the repository")
		case ForbiddenHost(address.Hostname()):
			d.errorf(n, "Remove it.", "%s gives out the bot's own credentials; nothing may call it", address.Hostname())
		case address.Scheme == "http" && !onLoopback(address.Hostname()):
			d.errorf(n, "Begin it with https://; http:// is for this machine alone, as in http://127.0.0.1:8080/.", "everyone on the way could read what is sent there")
		}
	}
}

func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// hideSecrets keeps lines out of all messages that have what may be a secret: any value below n but addresses and
// the names of variables. key is the one that n is the value of.
func (d *decoder) hideSecrets(key string, n ast.Node) {
	v := d.resolve(n)
	switch v := v.(type) {
	case nil, *ast.NullNode, *ast.BoolNode:
		return
	case *ast.SequenceNode:
		for _, item := range v.Values {
			d.hideSecrets("", item)
		}
		return
	case *ast.MappingNode:
		for _, value := range v.Values {
			d.hideSecrets(keyText(value.Key), value.Value)
		}
		return
	case *ast.MappingValueNode:
		d.hideSecrets(keyText(v.Key), v.Value)
		return
	case *ast.StringNode:
		if key == "env" && identifier().MatchString(v.Value) || key == "url" && strings.HasPrefix(v.Value, "http") && !strings.Contains(v.Value, "@") {
			return
		}
	}
	for _, at := range []ast.Node{n, v} {
		line, _ := position(at)
		d.hidden[line] = true
	}
}

// withoutHidden takes the lines that nobody is to read out of messages.
func (d *decoder) withoutHidden(list []Error) []Error {
	for i := range list {
		if d.hidden[list[i].Line] {
			list[i].Source = ""
		}
	}
	return list
}

// Secret is a variable of the bot's environment that deploy.yaml names.
type Secret struct {
	Env  string
	What string // what it is for
}

// Secrets are those without which someone could not be told of incidents, each once.
func (f *File) Secrets() []Secret {
	var list []Secret
	seen := map[string]bool{}
	add := func(v *Value, what string) {
		if v != nil && v.Env != "" && !seen[v.Env] {
			seen[v.Env] = true
			list = append(list, Secret{v.Env, what})
		}
	}
	for _, e := range f.Environments {
		for _, s := range e.Services {
			a := e.AlertsOf(s.Name)
			if a == nil {
				continue
			}
			for _, n := range a.Notify {
				if n.PagerDuty != nil {
					add(&n.PagerDuty.RoutingKey, "the routing key of PagerDuty for incidents of "+Target{e.Name, s.Name}.String())
				}
				if n.Webhook != nil {
					add(n.Webhook.Secret, "what signs the webhook for incidents of "+Target{e.Name, s.Name}.String())
				}
			}
		}
	}
	return list
}
