package page

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
)

// trouble is a fault that the page can make, with what it does in a sentence.
type trouble struct {
	ID, Label, Says string
	make            func(p *Page) error
}

// group is the troubles of one system.
type group struct {
	Name     string
	Troubles []trouble
}

// made is a fault that was made.
type made struct{ Clock, Label string }

const redisAway = 10 * time.Second

// troubles are all faults of the page.
func (p *Page) troubles() []group {
	groups := []group{{"Slack", slackTroubles()}}
	if p.cfg.Cloud != nil {
		groups = append(groups, group{"Google Cloud", cloudTroubles()})
	}
	if p.cfg.RefuseRedis != nil {
		groups = append(groups, group{"Redis", []trouble{{
			"redis-refuses", "Redis refuses for 10 s", "Nothing new starts; what is under way is looked up afterwards, not repeated.", (*Page).refuseRedis,
		}}})
	}
	return groups
}

func slackTroubles() []trouble {
	fault := func(f fakeslack.Fault) func(*Page) error {
		return func(p *Page) error { p.cfg.Slack.Fault(f); return nil }
	}
	return []trouble{
		{"slack-429", "Updates too fast", "The next chat.update gets a 429 that says to wait 30 s; its message stands still, then catches up.",
			fault(fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultRateLimit, RetryAfter: 30 * time.Second})},
		{"slack-disconnect", "Close the socket", "Slack asks the app to connect anew; what is sent meanwhile is not lost.",
			fault(fakeslack.Fault{Kind: fakeslack.FaultDisconnect})},
		{"slack-applied", "Posted, yet an error", "The next chat.postMessage is posted but answered with an error; the app must not post it twice.",
			fault(fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultAppliedButError})},
		{"slack-no-ack", "Lose an answer", "The acknowledgement of the next command is lost; Slack says so and sends the command once more, which must not be carried out twice.",
			fault(fakeslack.Fault{Method: "slash_commands", Kind: fakeslack.FaultTimeout})},
		{"slack-silent", "Go silent", "The socket stays open but carries no more pings; an app that listens for them connects anew.",
			fault(fakeslack.Fault{Kind: fakeslack.FaultNoPing})},
	}
}

func cloudTroubles() []trouble {
	fault := func(f fakegcp.Fault) func(*Page) error {
		return func(p *Page) error { return p.cfg.Cloud.Fault(f) }
	}
	return []trouble{
		{"gcp-unavailable", "UNAVAILABLE, 3 times", "The next three UpdateService calls are refused; the step is tried again.",
			fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "UNAVAILABLE", Count: 3})},
		{"gcp-applied", "Done, yet an error", "The next UpdateService is carried out but answered with an error; it must not be done twice.",
			fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultAppliedButError})},
		{"gcp-latency", "Slow answers, 5 times", "The next five UpdateService calls are carried out at once and answered 5 s late.",
			fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultLatency, Seconds: 5, Count: 5})},
		{"gcp-never-ends", "Never ends", "The next UpdateService is carried out, but its operation goes on for ever; the step's time limit ends it.",
			fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultNeverEnds})},
		{"gcp-logs", "Logs unreadable, 5 times", "The next five reads of the log fail; a gate does not pass for lack of an answer.",
			fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultError, Code: "UNAVAILABLE", Count: 5})},
		{"gcp-deny", "Take a permission away", "The app may no longer update services, until the faults are cleared; checks find that before a deploy.",
			func(p *Page) error {
				p.cfg.Cloud.Deny(append([]string{"run.services.update"}, p.cfg.Denied...)...)
				return nil
			}},
		{"gcp-touch", "Someone else changes it", "Another pipeline changes the first service; a rollout names that instead of overwriting it.",
			(*Page).touchService},
	}
}

// touchService is a change by somebody else, of nothing but the etag.
func (p *Page) touchService() error {
	services := p.cfg.Cloud.State().Services
	if len(services) == 0 {
		return fmt.Errorf("there is no service to change")
	}
	return p.cfg.Cloud.Touch(fakegcp.TouchRequest{Service: services[0].Name})
}

func (p *Page) refuseRedis() error {
	p.cfg.RefuseRedis("LOADING Redis is loading the dataset in memory")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.redis != nil {
		p.redis.Stop()
	}
	p.redis = time.AfterFunc(redisAway, func() { p.cfg.RefuseRedis("") })
	return nil
}

const clearFaults = "clear"

// fault makes a trouble, or ends those that can be ended.
func (p *Page) fault(_ context.Context, _ place, form url.Values) error {
	id := form.Get("fault")
	if id == clearFaults {
		p.clear()
		p.log("Faults cleared")
		return nil
	}
	for _, g := range p.troubles() {
		for _, t := range g.Troubles {
			if t.ID != id {
				continue
			}
			if err := t.make(p); err != nil {
				return err
			}
			p.log(g.Name + ": " + t.Label)
			return nil
		}
	}
	return fmt.Errorf("there is no fault %q", id)
}

// clear ends what has not happened yet. Google's faults are ended by the calls that meet them.
func (p *Page) clear() {
	p.cfg.Slack.ClearFaults()
	if p.cfg.Cloud != nil {
		p.cfg.Cloud.Deny(p.cfg.Denied...)
	}
	p.mu.Lock()
	if p.redis != nil {
		p.redis.Stop()
	}
	p.mu.Unlock()
	if p.cfg.RefuseRedis != nil {
		p.cfg.RefuseRedis("")
	}
}

const maxMade = 4

func (p *Page) log(label string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append([]made{{time.Now().Format("15:04:05"), label}}, p.made...)
	p.made = p.made[:min(len(p.made), maxMade)]
	p.touch()
}
