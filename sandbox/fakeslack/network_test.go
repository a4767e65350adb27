package fakeslack

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

func TestLatency(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		took := func() time.Duration {
			start := time.Now()
			if _, err := w.api.AuthTest(); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		w.Fault(Fault{Method: "auth.test", Kind: FaultLatency, Delay: 700 * time.Millisecond, Count: 2})
		if got := []time.Duration{took(), took(), took()}; got[0] != 700*time.Millisecond || got[1] != got[0] || got[2] != 0 {
			t.Errorf("fixed: %v", got)
		}
		w.Fault(Fault{Method: "*", Kind: FaultLatency, Distribution: uniform, Least: time.Second, Delay: 2 * time.Second, Count: 50})
		for range 50 {
			if got := took(); got < time.Second || got > 2*time.Second {
				t.Errorf("uniform: %v", got)
			}
		}
		// A late call meets the other trouble too.
		w.Fault(Fault{Method: "*", Kind: FaultLatency, Delay: time.Second})
		w.Fault(Fault{Method: "*", Kind: FaultError, Code: "fatal_error"})
		start := time.Now()
		_, err := w.api.AuthTest()
		wantCode(t, err, "fatal_error")
		if time.Since(start) != time.Second {
			t.Errorf("the error came after %v", time.Since(start))
		}
	})
}

func TestLatencyIsDrawnFromItsSeed(t *testing.T) {
	draw := func(seed uint64) []time.Duration {
		s := New(testConfig())
		s.Fault(Fault{Method: "*", Kind: FaultLatency, Distribution: lognormal, Delay: time.Second, Sigma: 0.5, Seed: seed, Count: 1001})
		out := make([]time.Duration, 1001)
		for i := range out {
			out[i] = s.latency("auth.test")
		}
		return out
	}
	one := draw(1)
	if !slices.Equal(one, draw(1)) || slices.Equal(one, draw(2)) {
		t.Error("the seed does not decide")
	}
	slices.Sort(one)
	if median := one[500].Seconds(); math.Abs(median-1) > 0.1 {
		t.Errorf("median = %v s, want about 1", median)
	}
	if upper := math.Log(one[841].Seconds()); math.Abs(upper-0.5) > 0.1 { // one sigma
		t.Errorf("the 84th percentile is e^%v s, want about e^0.5", upper)
	}
}

func TestDropAndTruncation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		post := func() error {
			_, _, err := w.api.PostMessage(deploys, slack.MsgOptionText("x", false))
			return err
		}
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultDrop})
		if err := post(); err == nil || len(w.Messages(deploys)) != 0 {
			t.Errorf("drop: %v, %d messages", err, len(w.Messages(deploys)))
		}
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultTruncated})
		if err := post(); err == nil || !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "unexpected end") || len(w.Messages(deploys)) != 1 {
			t.Errorf("truncated: %v, %d messages", err, len(w.Messages(deploys)))
		}
		if err := post(); err != nil {
			t.Errorf("after the trouble: %v", err)
		}
	})
}

func TestHalfOpenSocketSwallowsEverything(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		first := w.Connections()[0].ID
		w.Fault(Fault{Kind: FaultHalfOpen})
		_, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"})
		if !errors.Is(err, ErrNotAcked) {
			t.Errorf("error = %v", err)
		}
		if now := w.Connections(); len(now) != 1 || now[0].ID != first {
			t.Errorf("connections = %+v, want the dead one still", now)
		}
		pass(time.Minute) // slack-go gives up after 30 s without a ping
		if now := w.Connections(); len(now) == 0 || now[len(now)-1].ID == first {
			t.Errorf("connections = %+v, want a new one", now)
		}
		if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
			t.Errorf("after the client came back: %v", err)
		}
	})
}

func TestDroppedSocketIsReplaced(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		first := w.Connections()[0].ID
		w.Fault(Fault{Kind: FaultDrop})
		pass(5 * time.Second)
		if now := w.Connections(); len(now) != 1 || now[0].ID == first {
			t.Errorf("connections = %+v", now)
		}
		if n := w.count(CallSocket, "disconnect", ""); n != 0 {
			t.Errorf("said goodbye %d times", n)
		}
	})
}

func TestEnvelopesTwiceLateAndInTheWrongOrder(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var texts []string
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			if e.Type == socketmode.EventTypeSlashCommand {
				texts = append(texts, e.Data.(slack.SlashCommand).Text)
				_ = c.Ack(*e.Request)
			}
		})
		command := func(text string) time.Duration {
			ack, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy", Text: text})
			if err != nil {
				t.Error(err)
			}
			return ack.Elapsed
		}
		w.Fault(Fault{Kind: FaultDuplicate})
		command("twice")
		pass(time.Second)
		w.Fault(Fault{Method: envelopeCommand, Kind: FaultReorder})
		done := make(chan struct{})
		go func() {
			defer close(done)
			command("first")
		}()
		pass(100 * time.Millisecond)
		command("second")
		<-done
		w.Fault(Fault{Kind: FaultReorder})
		if took := command("alone"); took != longestHold {
			t.Errorf("with no other to wait for, it came after %v", took)
		}
		w.Fault(Fault{Method: envelopeCommand, Kind: FaultLatency, Delay: 2 * time.Second})
		if took := command("late"); took != 2*time.Second {
			t.Errorf("acked after %v", took)
		}
		if want := "twice,twice,second,first,alone,late"; strings.Join(texts, ",") != want {
			t.Errorf("got %v, want %s", texts, want)
		}
	})
}

func TestClockSkew(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		off := func(ts string) time.Duration {
			seconds, err := strconv.ParseFloat(ts, 64)
			if err != nil {
				t.Fatal(err)
			}
			return time.Until(time.UnixMilli(int64(seconds * 1000))).Round(time.Second)
		}
		date := func() time.Duration {
			resp, err := w.http.Get(baseURL + "/api/auth.test")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			at, err := http.ParseTime(resp.Header.Get("Date"))
			if err != nil {
				t.Fatal(err)
			}
			return time.Until(at).Round(time.Second)
		}
		w.Fault(Fault{Kind: FaultSkew, Skew: 90 * time.Second})
		if a, b := off(w.post(slack.MsgOptionText("x", false))), date(); a != 90*time.Second || b != 90*time.Second {
			t.Errorf("ts is off by %v, Date by %v", a, b)
		}
		w.ClearFaults()
		if b := date(); b != 0 {
			t.Errorf("after ClearFaults Date is off by %v", b)
		}
	})
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		says  string
	}{
		{Fault{Kind: "gremlins"}, "half_open"},
		{Fault{Kind: FaultLatency}, "needs a method"},
		{Fault{Kind: FaultTruncated}, "needs a method"},
		{Fault{Kind: FaultLatency, Method: "*", Distribution: "zipf"}, "lognormal"},
		{Fault{Kind: FaultDuplicate}, ""},
		{Fault{Kind: FaultDrop}, ""},
		{Fault{Kind: FaultSkew, Skew: time.Hour}, ""},
	} {
		if err := c.fault.Check(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.fault, err, c.says)
		}
	}
}
