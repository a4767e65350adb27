package commands

import (
	"fmt"
	"slices"
	"strings"

	"slipway/plan"
)

// Form is a command to start a rollout of which the parts are chosen instead of typed. Its texts are
// plain text without Reply's notation.
type Form struct {
	Targets []string // to choose one from, the environments first; MaxTargets at most
	Target  string   // the one that is chosen at first; "": none
	Example string   // what can stand in the field for the image
	Hint    string   // says what happens if it is left empty
}

// MaxTargets is how many targets a form offers: as many as Slack's select menus take
// (docs.slack.dev/reference/block-kit/block-elements/select-menu-element).
const MaxTargets = 100

// Order is a form that was filled in.
type Order struct {
	Target string `json:"target"`
	What   string `json:"what,omitempty"` // a tag or a digest; "": what the services' own tags point to
}

// The fields of an Order, as Check names them.
const (
	FieldTarget = "target"
	FieldWhat   = "what"
)

// Text is the order as it would be typed. What is a verb by its spelling is quoted, so that it is none.
func (o Order) Text() string {
	return strings.TrimSpace(quote(o.Target) + " " + quote(o.What))
}

func quote(text string) string {
	if _, verb := (word{text: text}).verb(); verb || strings.EqualFold(text, string(Deploy)) {
		return `"` + text + `"`
	}
	return text
}

// Check says what is wrong with an order by field, in plain text, as far as it can be seen without
// asking anybody. channel is where the form was opened; "" if that was no channel. It does no I/O,
// for Slack waits for the answer before it closes the form.
func (h *Handler) Check(o Order, channel string) map[string]string {
	wrong := map[string]string{}
	file := h.File()
	target, ok := findTarget(file, o.Target)
	switch {
	case !ok:
		wrong[FieldTarget] = fmt.Sprintf("There is no target '%s' in deploy.yaml any more. Choose another one, or open the form again.", plain(o.Target))
	case channelOf(file.Environment(target.Environment), target, channel) == "":
		wrong[FieldTarget] = fmt.Sprintf("%s has no channel in deploy.yaml. Type /deploy in the channel that is to have its card.", target)
	}
	if o.What != "" && !isImage(o.What) {
		wrong[FieldWhat] = fmt.Sprintf("'%s' is neither a tag nor a digest. Write the tag alone, as in v1.2.3, or sha256: and 64 digits.", plain(o.What))
	}
	return wrong
}

const formClosed = "The form did not open. Nothing was done. Press the button again, or type `/deploy TARGET`."

// form offers the form that starts a rollout; otherwise is said where none can be shown.
func (h *Handler) form(req Request, otherwise string) Reply {
	file := h.File()
	known := targets(file)
	if len(known) == 0 {
		return Reply{Text: otherwise}
	}
	f := &Form{Targets: known[:min(len(known), MaxTargets)], Example: exampleOf(file), Hint: hintOf(file)}
	switch target, ok := findTarget(file, req.Text); {
	case ok:
		f.Target = target.String()
	case len(file.Environments) == 1:
		f.Target = file.Environments[0].Name
	}
	if left := len(known) - len(f.Targets); left > 0 {
		f.Hint += fmt.Sprintf(" %d more targets are not in the list: type /deploy and the target.", left)
	}
	return Reply{Text: otherwise, Form: f}
}

// exampleOf is the tag that all services have, if they have the same.
func exampleOf(file *plan.File) string {
	tags := tagsOf(file)
	for _, tag := range tags {
		if tag.name != tags[0].name {
			return "the tag in deploy.yaml"
		}
	}
	return tags[0].name
}

// hintOf says which images are deployed if none is named.
func hintOf(file *plan.File) string {
	const shown = 8
	tags := tagsOf(file)
	example := exampleOf(file)
	if example == tags[0].name {
		return fmt.Sprintf("Leave it empty to deploy what the tag %s points to now.", example)
	}
	var each []string
	for _, tag := range tags[:min(len(tags), shown)] {
		each = append(each, tag.service+" "+tag.name)
	}
	if len(tags) > shown {
		each = append(each, "…")
	}
	return fmt.Sprintf("Leave it empty to deploy what the service's tag in deploy.yaml points to now: %s.", strings.Join(each, ", "))
}

// serviceTag is the tag that a service is deployed from.
type serviceTag struct{ service, name string }

// tagsOf lists the services of all environments; one at least, for a form has a target.
func tagsOf(file *plan.File) []serviceTag {
	var tags []serviceTag
	for _, e := range file.Environments {
		for _, s := range e.Services {
			tags = append(tags, serviceTag{plan.Target{Environment: e.Name, Service: s.Name}.String(), plain(s.Tag)})
		}
	}
	if len(tags) == 0 {
		tags = []serviceTag{{}}
	}
	return slices.Clip(tags)
}
