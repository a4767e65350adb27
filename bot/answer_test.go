package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/sandbox/fakeslack"
)

func graph() *commands.Chart {
	return &commands.Chart{
		Title:  "Error rate of backend in %",
		Labels: []string{"12:00", "12:05", "12:10"},
		Series: []commands.Series{{Name: "00041", Values: []float64{72, 70.25, 3}}, {Name: "limit", Values: []float64{5, 5, 5}}},
		Alt:    "Errors of <00041> fell from 72% to 3%, at 0.4 requests a second.",
	}
}

func TestAnswered(t *testing.T) {
	native := answered("Errors on *staging*.", graph(), false)
	golden(t, "answer_chart.json", encoded(t, native))
	golden(t, "answer_chart_classic.json", encoded(t, answered("Errors on *staging*.", graph(), true)))
	if m := answered("text", nil, false); m.Text != "text" || m.Blocks != nil {
		t.Errorf("without a chart: %+v", m)
	}
}

// A chart that Slack would refuse is not sent to it: its numbers are.
func TestAnsweredRefusesBadCharts(t *testing.T) {
	for name, spoil := range map[string]func(*commands.Chart){
		"values missing": func(c *commands.Chart) { c.Series = c.Series[:1]; c.Series[0].Values = c.Series[0].Values[:2] },
		"label twice":    func(c *commands.Chart) { c.Labels[1] = c.Labels[0] },
		"long label":     func(c *commands.Chart) { c.Labels[1] = strings.Repeat("a", 21) },
		"long name":      func(c *commands.Chart) { c.Series[0].Name = strings.Repeat("a", 21) },
		"no title":       func(c *commands.Chart) { c.Title = "" },
		"nothing to see": func(c *commands.Chart) { c.Labels, c.Series = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			chart := graph()
			spoil(chart)
			m := answered("Errors.", chart, false)
			if m.Blocks != nil || !strings.HasPrefix(m.Text, "Errors.\n") || !strings.Contains(m.Text, "&lt;00041&gt;") {
				t.Errorf("answered %+v", m)
			}
		})
	}
}

// privately are the messages that only one person saw.
func (w *world) privately() (list []fakeslack.Message) {
	for _, m := range w.Messages(deploys) {
		if m.EphemeralTo != "" {
			list = append(list, m)
		}
	}
	return list
}

func TestAChartIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply { return commands.Reply{Text: "Errors.", Chart: graph()} }
		w.run(w.bot())
		pass(time.Second)
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		got := w.privately()
		if len(got) != 1 || !strings.Contains(string(got[0].Blocks), "data_visualization") || !strings.Contains(got[0].Text, "fell from 72% to 3%") {
			t.Errorf("answers %+v\n%s", got, w.log)
		}
	})
}

// Wherever the chart is refused, the numbers arrive.
func TestARefusedChartIsSentAsNumbers(t *testing.T) {
	for _, method := range []string{"response_url", "chat.postEphemeral"} {
		t.Run(method, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Fault(fakeslack.Fault{Method: method, Kind: fakeslack.FaultError, Code: "invalid_blocks"})
				w.served.reply = func(commands.Request) commands.Reply { return commands.Reply{Text: "Errors.", Chart: graph()} }
				w.run(w.bot())
				pass(time.Second)
				var err error
				if method == "response_url" {
					_, err = w.Command(t.Context(), deployCommand())
				} else {
					_, err = w.Mention(t.Context(), fakeslack.MentionRequest{User: "approver", Channel: deploys, Text: "<@U0BOT> graph staging"})
				}
				if err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Second)
				got := w.privately()
				if len(got) != 1 || len(got[0].Blocks) > 4 || !strings.Contains(got[0].Text, "00041 72 70.2 3 · limit 5 5 5") {
					t.Errorf("answers %+v\n%s", got, w.log)
				}
			})
		})
	}
}

// Whoever presses a button that this version does not know is told so.
func TestAnUnknownButtonIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		b := w.bot()
		w.run(b)
		pass(time.Second)
		buttons := slack.NewActionBlock("old",
			slack.NewButtonBlockElement("promote", "abc234||3", plainObject("Promote", maxButton)),
			slack.NewButtonBlockElement("approve", "abc234", plainObject("Approve", maxButton)))
		_, ts, err := b.api.PostMessageContext(t.Context(), deploys, slack.MsgOptionText("a card of old", false), slack.MsgOptionBlocks(buttons))
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{"promote", "approve"} {
			if _, err := w.Click(t.Context(), fakeslack.ClickRequest{User: "approver", Channel: deploys, TS: ts, ActionID: action}); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
		}
		got := w.answers()
		if len(got) != 2 || got[0] != unknownButton || got[1] != unknownButton || len(w.served.requests()) != 0 {
			t.Errorf("answers %q, handled %+v", got, w.served.requests())
		}
	})
}

// A mention is answered where it was made: in its thread or in the channel, to one or to all.
func TestAMentionIsAnsweredWhereItWasMade(t *testing.T) {
	for _, public := range []bool{false, true} {
		for _, inThread := range []bool{false, true} {
			inWorld(t, func(t *testing.T, w *world) {
				w.served.reply = func(r commands.Request) commands.Reply {
					return commands.Reply{Text: "you said " + r.Text, Public: public}
				}
				w.run(w.bot())
				w.create(newStory(t))
				pass(3 * time.Second)
				top, _ := w.channel()
				thread := ""
				if inThread {
					thread = top[0].TS
				}
				mention := fakeslack.MentionRequest{User: "approver", Channel: deploys, Text: "<@U0BOT> status &lt;staging&gt;", ThreadTS: thread}
				if _, err := w.Mention(t.Context(), mention); err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Second)
				last := w.Messages(deploys)
				m := last[len(last)-1]
				if m.ThreadTS != thread || (m.EphemeralTo == "") != public || m.Text != "you said status &lt;staging&gt;" {
					t.Errorf("public %v, thread %q: %+v\n%s", public, thread, m, w.log)
				}
				if seen := w.served.requests(); len(seen) != 1 || !seen[0].Mention || seen[0].Text != "status <staging>" {
					t.Errorf("handled %+v", seen)
				}
			})
		}
	}
}

// fine gives a chart what a picture of it needs.
func fine(c *commands.Chart) *commands.Chart {
	c.Fine = &commands.Fine{
		Finding: "backend on staging: 72% errors in 1 h", Since: noon, Slice: time.Minute, Slices: 60, Limit: 0.05,
		Deploys: []commands.Moment{{At: noon.Add(20 * time.Minute), What: "deploy"}},
	}
	c.Series[0].Points = spread(noon, noon.Add(20*time.Minute), 2000, 1440)
	return c
}

func TestGraphOfChart(t *testing.T) {
	g, ok := graphOfChart(*fine(graph()))
	if !ok || g.Title != "backend on staging: 72% errors in 1 h" || len(g.Series) != 1 || len(g.Series[0].Points) != 20 || g.Limit != 0.05 || g.Marks[0].Label != "deploy" {
		t.Errorf("%v, %+v", ok, g)
	}
	if _, ok := graphOfChart(*graph()); ok {
		t.Error("a chart without points has a graph")
	}
	empty := fine(graph())
	empty.Series[0].Points = nil
	if _, ok := graphOfChart(*empty); ok {
		t.Error("a graph of nothing")
	}
}

// /deploy graph is answered with the picture, by either way; where that cannot be, with the chart, and
// where that is refused too, with its numbers. It never takes long.
func TestAGraphIsAnswered(t *testing.T) {
	const image, chart, none = "slack_file", "data_visualization", ""
	for _, tt := range []struct {
		name   string
		faults []fakeslack.Fault
		refuse int // messages with the picture
		want   string
	}{
		{"picture", nil, 0, image},
		{"refused once", []fakeslack.Fault{{Method: "upload", Kind: fakeslack.FaultError, Code: "400"}}, 0, image},
		{"no right to", []fakeslack.Fault{{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultError, Code: "missing_scope"}}, 0, chart},
		{"slow", []fakeslack.Fault{{Method: "upload", Kind: fakeslack.FaultTimeout}}, 0, chart},
		{"limited", []fakeslack.Fault{{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultRateLimit, RetryAfter: time.Minute}}, 0, chart},
		{"picture refused", nil, 1, chart},
		{"everything refused", []fakeslack.Fault{
			{Method: "response_url", Kind: fakeslack.FaultError, Code: "invalid_blocks", Count: 2},
			{Method: "chat.postEphemeral", Kind: fakeslack.FaultError, Code: "invalid_blocks", Count: 2},
		}, 0, none},
	} {
		for _, mention := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, mention %v", tt.name, mention), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					for _, f := range tt.faults {
						w.Fault(f)
					}
					w.cfg.HTTP.Transport = &declining{next: w.cfg.HTTP.Transport, left: tt.refuse}
					w.served.reply = func(commands.Request) commands.Reply { return commands.Reply{Text: "Errors.", Chart: fine(graph())} }
					w.run(w.bot())
					pass(time.Second)
					w.asksForGraph(mention)
					pass(9 * time.Second)
					got := w.privately()
					if len(got) != 1 {
						t.Fatalf("%d answers\n%s", len(got), w.log)
					}
					blocks := string(got[0].Blocks)
					for _, kind := range []string{image, chart} {
						if strings.Contains(blocks, kind) != (kind == tt.want) {
							t.Errorf("%s in %s, want %s", kind, blocks, tt.want)
						}
					}
					if !strings.Contains(got[0].Text, "fell from 72% to 3%") || (tt.want == none) != strings.Contains(got[0].Text, "00041 72") {
						t.Errorf("text %q", got[0].Text)
					}
				})
			})
		}
	}
}

func (w *world) asksForGraph(mention bool) {
	w.t.Helper()
	var err error
	if mention {
		_, err = w.Mention(w.t.Context(), fakeslack.MentionRequest{User: "approver", Channel: deploys, Text: "<@U0BOT> graph staging"})
	} else {
		_, err = w.Command(w.t.Context(), deployCommand())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A chart whose description is the whole answer says it once.
func TestNothingIsSaidTwice(t *testing.T) {
	c := graph()
	for _, classic := range []bool{false, true} {
		m := answered(escape(c.Alt), c, classic)
		if n := strings.Count(m.Text, "fell from 72%"); n != 1 || len(m.Blocks) > 2 {
			t.Errorf("classic %v: said %d times in %q, %d blocks", classic, n, m.Text, len(m.Blocks))
		}
	}
}
