package bot

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"slipway/rollout"
)

// phases shows the plan: one plan block a phase with a task card a step, or the same in sections.
func (c *card) phases() []slack.Block {
	if c.detail == leastDetail {
		return []slack.Block{c.section("phases", c.outline())}
	}
	var blocks []slack.Block
	for i, phase := range c.r.Phases {
		if c.look.Classic {
			blocks = append(blocks, c.section(fmt.Sprintf("phase-%d", i+1), c.checklist(i, phase)))
			continue
		}
		block := slack.NewPlanBlock(c.phaseTitle(i), slack.PlanBlockOptionBlockID(c.id(fmt.Sprintf("phase-%d", i+1))))
		for _, s := range phase.Steps {
			block.Tasks = append(block.Tasks, *c.task(s))
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// phaseTitle numbers the plan's phases, as headlines do; those that rollouts add have no number.
func (c *card) phaseTitle(i int) string {
	name := c.r.Phases[i].Name
	if !c.r.Phases[i].Added {
		name = fmt.Sprintf("%d. %s", planned(c.r.Phases[:i+1]), name)
	}
	return plain(name, maxTitle)
}

func (c *card) task(s rollout.Step) *slack.TaskCardBlock {
	task := slack.NewTaskCardBlock(s.ID, stepTitle(s)).WithStatus(taskStatus(s))
	if note := c.note(s); note != "" {
		text := slack.NewRichTextSectionTextElement(note, nil)
		task.WithDetails(slack.NewRichTextBlock("", slack.NewRichTextSection(text)))
	}
	return task
}

// note is what a step says at the card's present level of detail.
func (c *card) note(s rollout.Step) string {
	if c.detail < fullDetail && (s.Status == rollout.StepPassed || s.Status == rollout.StepPending) {
		return ""
	}
	return short(s.Note, 300)
}

// taskStatus has the four values of a task_card; stepTitle says in words what they cannot.
func taskStatus(s rollout.Step) slack.TaskCardStatus {
	switch s.Status {
	case rollout.StepRunning, rollout.StepWaiting:
		return slack.TaskCardStatusInProgress
	case rollout.StepPassed:
		return slack.TaskCardStatusComplete
	case rollout.StepFailed, rollout.StepInconclusive:
		return slack.TaskCardStatusError
	}
	return slack.TaskCardStatusPending
}

func stepTitle(s rollout.Step) string {
	title := plain(s.Spec.Name, maxTitle)
	var marks []string
	switch s.Status {
	case rollout.StepWaiting:
		marks = append(marks, "waiting")
	case rollout.StepFailed:
		marks = append(marks, "failed")
	case rollout.StepInconclusive:
		marks = append(marks, "not decided")
	case rollout.StepCancelled:
		marks = append(marks, "stopped")
	case rollout.StepSkipped:
		marks = append(marks, "skipped")
	}
	if s.Waived {
		marks = append(marks, "shipped without evidence")
	}
	if s.Spec.ReportOnly && s.Status == rollout.StepFailed {
		marks = append(marks, "report only")
	}
	if s.Attempt > 1 {
		marks = append(marks, fmt.Sprintf("attempt %d", s.Attempt))
	}
	if len(marks) == 0 {
		return title
	}
	return title + " (" + strings.Join(marks, ", ") + ")"
}

// checklist is a phase in classic blocks.
func (c *card) checklist(i int, phase rollout.Phase) mrkdwn {
	lines := []mrkdwn{say("*%s*", c.phaseTitle(i))}
	for _, s := range phase.Steps {
		line := say("%s %s", sign(s.Status), stepTitle(s))
		if note := c.note(s); note != "" {
			line += say(" – %s", note)
		}
		lines = append(lines, line)
	}
	return sentences("\n", lines...)
}

// outline is the whole plan at one line a phase, for plans that do not fit otherwise.
func (c *card) outline() mrkdwn {
	var lines []mrkdwn
	for i, phase := range c.r.Phases {
		done, bad := 0, []string(nil)
		for _, s := range phase.Steps {
			switch s.Status {
			case rollout.StepPassed:
				done++
			case rollout.StepFailed, rollout.StepInconclusive, rollout.StepRunning, rollout.StepWaiting:
				bad = append(bad, sign(s.Status)+" "+plain(stepTitle(s), 80))
			}
		}
		line := say("*%s*: %d of %d passed", plain(c.phaseTitle(i), 80), done, len(phase.Steps))
		if len(bad) > 0 {
			line += say("; %s", strings.Join(bad[:min(3, len(bad))], "; "))
		}
		lines = append(lines, line)
	}
	return sentences("\n", lines...)
}

// sign is a status as one character; stepTitle repeats in words whatever went wrong.
func sign(status rollout.StepStatus) string {
	switch status {
	case rollout.StepPassed:
		return "✓"
	case rollout.StepFailed:
		return "✗"
	case rollout.StepInconclusive:
		return "?"
	case rollout.StepRunning, rollout.StepWaiting:
		return "▸"
	}
	return "·"
}
