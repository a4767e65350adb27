package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway/rollout"
)

type ctlHistory struct {
	Target string `arg:"" help:"staging, or staging/backend for one service."`
	Export string `type:"path" placeholder:"DIR" help:"Write the receipt of every verdict there, a JSON file each, which slipway verdict --receipt recomputes."`
	answering
}

// Run lists the last rollouts, and exports what their verdicts were made of.
func (c ctlHistory) Run(ctx context.Context, p Process) error {
	return ctl(ctx, p, order{verb: "history", target: c.Target, text: words("history", c.Target), export: c.Export, answering: c.answering})
}

// exportReceipts writes the receipts of the target's rollouts, those under way among them. A file that is there and
// says something else is not overwritten: it may be what somebody relies on.
func (s *session) exportReceipts(ctx context.Context) error {
	if err := os.MkdirAll(s.order.export, 0o750); err != nil {
		return fmt.Errorf("make the folder for the receipts: %w", err)
	}
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	list, err := s.store.History(looking, s.target.Environment, exportFrom)
	if err != nil {
		return errors.New(whatIsWrong(err))
	}
	active, err := s.active(ctx)
	if err != nil {
		return errors.New(whatIsWrong(err))
	}
	written := 0
	for _, r := range append(list, active...) {
		if !concern(r.Target, s.target) {
			continue
		}
		for _, step := range r.Judged() {
			if err := writeReceipt(s.order.export, step); err != nil {
				return err
			}
			written++
		}
	}
	fmt.Fprintf(s.printTo(), "%d receipts are in %s. To recompute them: slipway verdict --receipt %s\n", written, s.order.export, filepath.Join(s.order.export, "*.json"))
	return nil
}

const exportFrom = 1000 // ended rollouts of an environment

func writeReceipt(dir string, step rollout.Step) error {
	text, err := json.MarshalIndent(step.Gate.Receipt, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the receipt of step %s: %w", step.ID, err)
	}
	text = append(text, '\n')
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.json", step.Gate.Receipt.Rollout, step.ID))
	if there, err := os.ReadFile(path); err == nil {
		if string(there) == string(text) {
			return nil
		}
		return fmt.Errorf("%s is there already and says something else; choose another folder", path)
	}
	return os.WriteFile(path, text, 0o600)
}
