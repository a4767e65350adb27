package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// unfenced are the lines that keep a replica which lost its lease from going on, in Redis and by its own
// clock, and what stands in their place in the control's bot. Each has to be found exactly once, so that
// the control cannot rot unnoticed.
func unfenced() []replacement {
	return []replacement{
		{"state/lua/commit.lua", "if not by_person and stored[3] ~= fence then", "if false then"},
		{"state/lua/renew.lua", "if redis.call('HGET', rollout, 'fence') ~= fence then", "if false then"},
		{"rollout/holder.go", "context.WithDeadline(ctx, lease.Until.Add(-leaseMargin))", "context.WithTimeout(ctx, time.Second)"},
		{"rollout/holder.go", "case time.Until(lease.Until) < leaseMargin:", "case false:"},
	}
}

type replacement struct{ file, old, new string }

// build makes the bot from the module around the working directory. Without its fences it is made from
// the same files but for those lines, by an overlay of the go command: the product itself has no switch
// that turns its safety off.
func build(ctx context.Context, dir string, fenced bool) (binary string, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "slipway")
	args := []string{"build", "-o", binary}
	if !fenced {
		overlay, err := writeOverlay(root, dir)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...) //nolint:gosec // its arguments are made above
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the bot: %w\n%s", err, out)
	}
	return binary, nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module (run this in its directory): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// writeOverlay writes the changed files and the list of them that the go command takes.
func writeOverlay(root, dir string) (path string, err error) {
	texts := map[string]string{}
	for _, r := range unfenced() {
		if texts[r.file] == "" {
			text, err := os.ReadFile(filepath.Join(root, r.file))
			if err != nil {
				return "", err
			}
			texts[r.file] = string(text)
		}
		if n := strings.Count(texts[r.file], r.old); n != 1 {
			return "", fmt.Errorf("the control cannot be made: %q is in %s %d times, not once", r.old, r.file, n)
		}
		texts[r.file] = strings.Replace(texts[r.file], r.old, r.new, 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range texts {
		changed := filepath.Join(dir, "unfenced-"+filepath.Base(file))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, file)] = changed
	}
	out, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, out, 0o600)
}
