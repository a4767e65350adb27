package plan

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Identity says whom `slipway ctl` acts for when it runs with the Google credentials of an account:
// a person, by their Slack ID, or a robot.
type Identity struct {
	Account string `json:"account"` // the e-mail address of a Google account or a service account
	// Slack is a person's user ID. It is no handle, which can change hands, and it is the ID under which
	// they act in Slack, so that who started a rollout there cannot approve it here.
	Slack string   `json:"slack,omitempty"`
	Robot string   `json:"robot,omitempty"` // a robot's name, for the card and the history
	May   []string `json:"may,omitempty"`   // all that a robot may do; never empty for one
	// Groups are handles that the account counts as a member of, whatever Slack says. A robot is in no others.
	Groups []string `json:"groups,omitempty"`
}

// Abilities are the words of Identity.May: the commands, the answers to questions of a rollout, and what is done about incidents.
func Abilities() []string {
	return []string{"abort", "ack", "approve", "confirm", "continue", "deploy", "extend", "history", "hold", "incidents", "lock", "pause", "plan",
		"probe", "reject", "resolve", "resume", "retry", "rollback", "silence", "status", "unlock"}
}

// Identity returns the identity of a Google account, or nil. Capitals make no difference.
func (f *File) Identity(account string) *Identity {
	for _, i := range f.Identities {
		if strings.EqualFold(i.Account, account) {
			return i
		}
	}
	return nil
}

func (d *decoder) identity(account string, n ast.Node) *Identity {
	i := &Identity{Account: account}
	d.object(n, "identity", []field{
		{"slack", false, d.text(&i.Slack)},
		{"robot", false, d.text(&i.Robot)},
		{"may", false, d.texts(&i.May, "commands")},
		{"groups", false, d.texts(&i.Groups, "groups")},
	})
	return i
}

func (v *validator) identities() {
	robots, accounts := map[string]ast.Node{}, map[string]ast.Node{}
	for _, i := range v.file.Identities {
		at := v.where(i)
		if !regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`).MatchString(i.Account) {
			v.errorf(at, "Write the e-mail address that the credentials belong to, as in ci@my-project.iam.gserviceaccount.com.",
				"%q is not a Google account", i.Account)
		}
		v.once(accounts, "an account", strings.ToLower(i.Account), at)
		v.once(robots, "a robot", i.Robot, v.where(&i.Robot))
		switch person, robot := v.where(&i.Slack) != nil, v.where(&i.Robot) != nil; {
		case person && robot:
			v.errorf(v.where(&i.Robot), "Keep slack for a person, or robot for a robot.", "an account is a person or a robot, not both")
		case person:
			v.person(i)
		case robot:
			v.robot(i)
		default:
			v.errorf(at, "Add slack: and a person's member ID, or robot: and a name, with may:.", "it is not said who %s is", i.Account)
		}
		v.groupsOf(i)
	}
}

// once reports a name that another identity has already.
func (v *validator) once(seen map[string]ast.Node, what, name string, at ast.Node) {
	if name == "" {
		return
	}
	if first := seen[name]; first != nil {
		line, _ := position(first)
		v.errorf(at, "Keep one of the two.", "there is %s %s already, in line %d", what, name, line)
		return
	}
	seen[name] = at
}

func (v *validator) person(i *Identity) {
	if at := v.where(&i.Slack); !regexp.MustCompile(`^[UW][A-Z0-9]{6,}$`).MatchString(i.Slack) {
		v.errorf(at, "Write the member ID, as in U012AB3CD: in Slack, the person's profile, the three dots, Copy member ID. A handle can change hands.",
			"%q is not a person's Slack ID", i.Slack)
	}
	if len(i.May) > 0 {
		v.errorf(v.where(&i.May[0], i), "Remove may: a person may do here what they may do in Slack.", "only robots have a list of what they may do")
	}
	if strings.HasSuffix(strings.ToLower(i.Account), ".gserviceaccount.com") {
		v.warnf(v.where(i), "Map the person's own account, or make it a robot.", "whoever may use the service account %s acts as that person", i.Account)
	}
}

func (v *validator) robot(i *Identity) {
	v.typedName(v.where(&i.Robot), "a robot", i.Robot)
	if len(i.May) == 0 {
		v.errorf(v.where(&i.Robot), "Add may: [deploy, status], or what else it is to do: "+strings.Join(Abilities(), ", ")+".",
			"it is not said what the robot %s may do", i.Robot)
	}
	for n := range i.May {
		word := &i.May[n]
		switch {
		case *word == "":
		case !slices.Contains(Abilities(), *word):
			v.errorf(v.where(word), "It is one of "+strings.Join(Abilities(), ", ")+".", "a robot cannot %s%s", *word, didYouMean(*word, Abilities()))
		case slices.Contains(i.May[:n], *word):
			v.errorf(v.where(word), "Keep one of the two.", "%s is here twice", *word)
		case *word == "approve":
			v.warnf(v.where(word), "Leave approving to people, unless the robot passes on somebody's decision.", "the robot %s may approve rollouts", i.Robot)
		}
	}
}

// groupsOf checks that they can be groups; that somebody counts as another person is never meant.
func (v *validator) groupsOf(i *Identity) {
	v.checkPeople(&i.Groups)
	for n := range i.Groups {
		if group := &i.Groups[n]; regexp.MustCompile(`^[UW][A-Z0-9]{6,}$`).MatchString(*group) {
			v.errorf(v.where(group), "Name groups only; the person goes under slack.", "%s is a person, not a group", *group)
		}
	}
}
