package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// eachMember stands for every member in turn: no path has it.
const eachMember = "*"

// withoutReport is a round that was made again without one member.
type withoutReport struct {
	Round  uint64      `json:"round"`
	Member string      `json:"member"`
	Step   float64     `json:"step"`            // L2, of the round's own model from its base
	Moved  float64     `json:"moved"`           // of the model without the member from the round's own
	Model  *model.Hash `json:"model,omitempty"` // content id of the model without it
	Why    string      `json:"why,omitempty"`   // why it could not be made
}

// leaveOut says without whom rounds are to be made again, nil for nobody.
func (c *verifyCmd) leaveOut() func(record.Record) []string {
	if c.Without == "" {
		return nil
	}
	return func(r record.Record) []string {
		switch {
		case c.Round != 0 && r.Round != c.Round:
			return nil
		case c.Without != eachMember:
			return []string{c.Without}
		}
		var all []string
		for _, e := range r.Entries {
			if e.Verdict == verdict.Counted {
				all = append(all, e.Member)
			}
		}
		return all
	}
}

// without takes in what came of one record.
func (t *taskReport) without(r record.Record, list []replay.WhatIf) {
	for _, w := range list {
		out := withoutReport{Round: r.Round, Member: w.Member, Step: w.Step, Moved: w.Moved, Why: w.Why}
		if w.Model != nil {
			id := r.ContentOf(w.Model.Blob)
			out.Model = &id
		}
		t.Without = append(t.Without, out)
	}
}

// asked is the error where nothing could be made again without the member.
func (c *verifyCmd) asked(out report) error {
	if c.Without == "" {
		return nil
	}
	last := ""
	for _, t := range out.Tasks {
		if slices.ContainsFunc(t.Without, func(w withoutReport) bool { return w.Why == "" }) {
			return nil
		}
		for _, w := range t.Without {
			last = fmt.Sprintf("; round %d: %s", w.Round, w.Why)
		}
	}
	where := "any round of training"
	if c.Round != 0 {
		where = fmt.Sprintf("a round of training %d", c.Round)
	}
	if last == "" {
		return fmt.Errorf("--without %s: it was not counted in %s", c.Without, where)
	}
	return fmt.Errorf("--without %s: no round could be made again without it%s", c.Without, last)
}

// printWithout writes what rounds would have come to.
func (t *taskReport) printWithout(w io.Writer) error {
	if len(t.Without) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s without a member: how far its round's model moves, beside the step of the round\n", t.Task)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "round\tmember\tstep\tmoved\tshare\tmodel without it\t")
	for _, x := range t.Without {
		if x.Why != "" {
			fmt.Fprintf(tw, "%d\t%s\t-\t-\t-\t%s\t\n", x.Round, x.Member, x.Why)
			continue
		}
		share := "-"
		if x.Step > 0 {
			share = fmt.Sprintf("%.0f %%", 100*x.Moved/x.Step)
		}
		fmt.Fprintf(tw, "%d\t%s\t%.4g\t%.4g\t%s\t%s\t\n", x.Round, x.Member, x.Step, x.Moved, share, x.Model)
	}
	return tw.Flush()
}
