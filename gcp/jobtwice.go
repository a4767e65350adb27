package gcp

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"

	"slipway/rollout"
)

// This file is about the runs that an attempt of a job step has, which should be one.

// Find looks for the run of an attempt. Of several, which only a lost answer can make, it keeps the
// oldest and cancels the rest.
func (a jobAction) Find(ctx context.Context, t rollout.Task) (string, bool, error) {
	j, err := newJobRun(t)
	if err != nil {
		return "", false, err
	}
	runs, err := a.runsOf(ctx, j)
	if err != nil || len(runs) == 0 {
		return "", false, err
	}
	own := runs[0].GetName()
	if _, err := a.stopOthers(ctx, runs, own); err != nil {
		return "", false, err
	}
	return own, true, nil
}

// Undouble stops the runs of an attempt besides its own.
func (a jobAction) Undouble(ctx context.Context, t rollout.Task, handle string) (said string, err error) {
	j, err := newJobRun(t)
	if err != nil {
		return "", err
	}
	runs, err := a.runsOf(ctx, j)
	if err != nil || len(runs) == 0 {
		return "", err
	}
	return a.stopOthers(ctx, runs, cmp.Or(handle, runs[0].GetName()))
}

// runsOf lists the runs that carry the attempt's key, oldest first.
func (a jobAction) runsOf(ctx context.Context, j jobRun) ([]*runpb.Execution, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	list := a.executions.ListExecutions(ctx, &runpb.ListExecutionsRequest{Parent: j.path, PageSize: newestRuns})
	var found []*runpb.Execution
	for range newestRuns {
		execution, err := list.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, explain(err, j.subject())
		}
		if keyOf(execution) == j.key {
			found = append(found, execution)
		}
	}
	slices.SortFunc(found, func(x, y *runpb.Execution) int {
		return x.GetCreateTime().AsTime().Compare(y.GetCreateTime().AsTime())
	})
	return found, nil
}

// doubled stops the runs of the attempt besides its own, and says so behind a space. They do not change
// how the attempt ends, so that errors on the way are left to the log.
func (a jobAction) doubled(ctx context.Context, j jobRun, own string) string {
	runs, err := a.runsOf(ctx, j)
	said := ""
	if err == nil {
		said, err = a.stopOthers(ctx, runs, own)
	}
	if err != nil {
		a.log.WarnContext(ctx, "cannot tell whether the job ran twice, or stop it", "job", j.name, "key", j.key, "err", err)
	}
	if said != "" {
		said = " " + said
	}
	return said
}

// stopOthers cancels the runs besides own, and says in a sentence that they were there.
func (a jobAction) stopOthers(ctx context.Context, runs []*runpb.Execution, own string) (said string, err error) {
	for _, run := range runs {
		if name := run.GetName(); name != own {
			err = errors.Join(err, a.cancel(ctx, name))
			said = "It was run a second time, as " + short(name) + ", by a replica that had lost its turn; that run was told to stop."
		}
	}
	return said, err
}
