package bot

import (
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
)

func TestMember(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d := w.bot().Directory()
		tests := []struct {
			user    string
			handles []string
			want    bool
		}{
			{"U0APPROVER", []string{"@release-managers"}, true},
			{"U0APPROVER", []string{"S0RELEASE"}, true},
			{"U0APPROVER", []string{"@backend", "@release-managers"}, true},
			{"U0APPROVER", []string{"@approver"}, true},
			{"U0APPROVER", []string{"U0APPROVER"}, true},
			{"U0OUTSIDER", []string{"@release-managers", "@backend", "@approver", "U0APPROVER", "@nobody"}, false},
			{"U0APPROVER", nil, false},
			{"", []string{"@release-managers"}, false},
			{"@release-managers", []string{"@release-managers"}, false},
		}
		for _, tt := range tests {
			if got, err := d.Member(t.Context(), tt.user, tt.handles); err != nil || got != tt.want {
				t.Errorf("Member(%s, %v) = %v, %v", tt.user, tt.handles, got, err)
			}
		}
	})
}

// Membership is never remembered, and nobody is let through when Slack does not say.
func TestMemberIsAskedEachTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d := w.bot().Directory()
		for range 3 {
			if ok, err := d.Member(t.Context(), "U0APPROVER", []string{"@release-managers"}); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		if members, groups := len(w.calls("usergroups.users.list")), len(w.calls("usergroups.list")); members != 3 || groups != 1 {
			t.Errorf("members asked for %d times, groups %d times; want 3 and 1", members, groups)
		}
		w.Fault(fakeslack.Fault{Method: "usergroups.users.list", Kind: fakeslack.FaultError, Code: "fatal_error"})
		if ok, err := d.Member(t.Context(), "U0APPROVER", []string{"@release-managers"}); ok || err == nil {
			t.Errorf("Member = %v, %v while Slack fails", ok, err)
		}
		w.Fault(fakeslack.Fault{Method: "usergroups.users.list", Kind: fakeslack.FaultRateLimit, RetryAfter: 2 * time.Second})
		if ok, err := d.Member(t.Context(), "U0APPROVER", []string{"@release-managers"}); !ok || err != nil {
			t.Errorf("Member = %v, %v after a short 429", ok, err)
		}
	})
}

func TestMentionAndChannel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d := w.bot().Directory()
		for handle, want := range map[string]string{
			"@release-managers": "<!subteam^S0RELEASE>", "S0RELEASE": "<!subteam^S0RELEASE>", "@deployer": "<@U0DEPLOYER>",
			"U0DEPLOYER": "<@U0DEPLOYER>", "@<!channel>": "@&lt;!channel&gt;",
		} {
			if got := d.Mention(t.Context(), handle); got != want {
				t.Errorf("Mention(%s) = %s, want %s", handle, got, want)
			}
		}
		for _, name := range []string{"deploys-staging", "#deploys-staging", deploys} {
			if id, err := d.Channel(t.Context(), name); id != deploys || err != nil {
				t.Errorf("Channel(%s) = %s, %v", name, id, err)
			}
		}
		if _, err := d.Channel(t.Context(), "nowhere"); err == nil {
			t.Error("a channel that is not there was found")
		}
	})
}

func TestMissing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d := w.bot().Directory()
		for _, test := range []struct {
			channel string
			handles []string
			want    []string // how the sentences begin
		}{
			{"deploys-staging", []string{"@release-managers", "@deployer", "U0DEPLOYER"}, nil},
			{"#nowhere", nil, []string{"There is no channel #nowhere that Slipway is in"}},
			{"deploys-staging", []string{"@nobody"}, []string{"Slack knows no group or person @nobody"}},
		} {
			got, err := d.Missing(t.Context(), test.channel, test.handles)
			if err != nil || len(got) != len(test.want) {
				t.Errorf("%s %v: %q, %v", test.channel, test.handles, got, err)
				continue
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("%q does not begin with %q", got[i], want)
				}
			}
		}
	})
}
