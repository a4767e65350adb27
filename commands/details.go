package commands

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"slipway/rollout"
)

// What details may show. Slack refuses longer messages; what helps to get out of trouble comes first.
const (
	maxDetail = 700  // characters of one step's detail in a message
	maxTotal  = 2600 // of the whole message
	maxWindow = 2800 // of one step's detail in a window, which has room for a hundred paragraphs
)

// Window is long text that is best read in a window of its own.
type Window struct {
	Title string // at most 24 characters
	Parts []Paragraph
}

// Paragraph is text in Reply's notation, with something under it that is shown as it is, such as the
// end of a log; "" if there is nothing.
type Paragraph struct {
	Text     string
	Verbatim string
}

func (p Paragraph) String() string {
	if p.Verbatim == "" {
		return p.Text
	}
	return p.Text + "\n```\n" + p.Verbatim + "\n```"
}

// details is what the card has no room for: how to return by hand, why steps did not pass, what the
// gates counted, and which images and revisions these are.
func details(r *rollout.Rollout, now time.Time) Reply {
	var texts []string
	for _, p := range paragraphs(r, now, maxDetail) {
		texts = append(texts, p.String())
	}
	return Reply{
		Text:   within(texts, maxTotal),
		Window: &Window{Title: "Rollout " + r.ID, Parts: paragraphs(r, now, maxWindow)},
	}
}

// paragraphs are the details with at most so many characters of what each step left behind.
func paragraphs(r *rollout.Rollout, now time.Time, most int) []Paragraph {
	parts := []Paragraph{{Text: headline(r)}}
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		parts = append(parts, Paragraph{Text: byHand(r, r.Services[service])})
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			parts = append(parts, trouble(&s, most))
		}
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			parts = append(parts, Paragraph{Text: counted(&s, now)})
		}
	}
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		parts = append(parts, Paragraph{Text: images(r, r.Services[service])})
	}
	for _, s := range r.Judged() {
		parts = append(parts, receipt(&s, r, most))
	}
	return slices.DeleteFunc(parts, func(p Paragraph) bool { return p.Text == "" })
}

// within joins as many paragraphs as fit, and says so if not all do.
func within(paragraphs []string, limit int) string {
	text := ""
	for i, p := range paragraphs {
		if len(text)+len(p) > limit {
			return text + fmt.Sprintf("\n(%d more do not fit here; Slipway's log has them.)", len(paragraphs)-i)
		}
		text += p + "\n"
	}
	return strings.TrimSpace(text)
}

// byHand is the command line that sends a service's traffic to where going back leads.
func byHand(r *rollout.Rollout, s rollout.Service) string {
	to := s.Stable.Name
	if r.Kind == rollout.Rollback {
		to = s.Candidate.Name
	}
	if to == "" {
		return ""
	}
	return fmt.Sprintf("To send all traffic of %s to %s by hand:\n`gcloud run services update-traffic %s --project %s --region %s --to-revisions %[2]s=100`",
		s.Name, to, s.CloudRun, s.Project, s.Region)
}

// trouble says why a step did not pass, with the end of what it left behind.
func trouble(s *rollout.Step, most int) Paragraph {
	if s.Status != rollout.StepFailed && s.Status != rollout.StepInconclusive {
		return Paragraph{}
	}
	text := fmt.Sprintf("%s (%s), %s: %s", plain(s.Spec.Name), s.ID, s.Status, sentence(s.Note))
	if s.Attempt > 1 {
		text += fmt.Sprintf(" That was attempt %d.", s.Attempt)
	}
	return Paragraph{Text: text, Verbatim: verbatim(s.Detail, most)}
}

// verbatim keeps the lines of a text, and its end if it is long: of a log that is what counts.
func verbatim(text string, most int) string {
	visible := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "�"))
	runes := []rune(strings.TrimSpace(strings.ReplaceAll(unmarked(visible), "```", "'''")))
	if len(runes) > most {
		return "…" + string(runes[len(runes)-most:])
	}
	return string(runes)
}

// counted says what a gate has seen, and in which window.
func counted(s *rollout.Step, now time.Time) string {
	g := s.Gate
	if g == nil {
		return ""
	}
	text := fmt.Sprintf("%s (%s): requests to %s that started from %s to %s: %s, %s",
		plain(s.Spec.Name), s.ID, g.Revision, second(g.Since, now), second(g.Until, now),
		rollout.Count(g.Counts.Requests), rollout.Counted(g.Counts.Errors, "error"))
	if s.Spec.NoLogs != nil {
		return text + fmt.Sprintf("; %s with %s: %s.", rollout.Counted(g.Hits, "line"), plain(s.Spec.NoLogs.Match), g.Verdict)
	}
	if g.AtMost < 1 {
		text += fmt.Sprintf(", so at most %s", rollout.PercentUp(g.AtMost, float64(g.Limit)))
	}
	return text + fmt.Sprintf("; limit %s: %s.", g.Limit, g.Verdict)
}

// receipt is what a verdict can be recomputed from: where there is room all of it, else where to get it.
func receipt(s *rollout.Step, r *rollout.Rollout, most int) Paragraph {
	if most < maxWindow {
		return Paragraph{}
	}
	how := fmt.Sprintf("Receipt of %s (%s), which `slipway verdict --receipt` recomputes", plain(s.Spec.Name), s.ID)
	text, err := json.Marshal(s.Gate.Receipt)
	if err != nil || len(text) > most {
		return Paragraph{Text: how + fmt.Sprintf("; `slipway ctl history %s --export DIR` writes it to a file.", r.Target)}
	}
	return Paragraph{Text: how + ":", Verbatim: verbatim(string(text), most)}
}

// second writes a moment exactly; the notation of replies ends at minutes.
func second(t, now time.Time) string {
	if now.Sub(t).Abs() < 18*time.Hour {
		return t.UTC().Format("15:04:05") + " UTC"
	}
	return t.UTC().Format("Jan 2 15:04:05") + " UTC"
}

// images says what is rolled out and what was there before, so that it can be copied.
func images(r *rollout.Rollout, s rollout.Service) string {
	if r.Kind == rollout.Rollback {
		return fmt.Sprintf("%s: from %s back to %s.", s.Name, s.Stable.Name, s.Candidate.Name)
	}
	text := fmt.Sprintf("%s: new image `%s`", s.Name, s.Image.Reference())
	if s.Image.Tag != "" {
		text += " (" + plain(s.Image.Tag) + ")"
	}
	if s.Candidate.Name != "" {
		text += " as " + s.Candidate.Name
	}
	if s.OldImage != "" {
		text += fmt.Sprintf("; old image `%s`", s.OldImage)
	}
	return text + " as " + s.Stable.Name + "."
}
