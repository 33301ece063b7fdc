package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/fedmq/fedmq/record"
)

// upTable prints the rounds of a folder's tasks, a line each.
type upTable struct {
	out      io.Writer
	tasks    bool            // there are several
	remarked map[string]bool // of which task and matter
}

func newUpTable(tasks bool) upTable {
	return upTable{out: stdout, tasks: tasks, remarked: map[string]bool{}}
}

func (t upTable) head() {
	t.line("task", fmt.Sprintf("%5s  %-10s  %5s  %-10s %9s %9s %9s %9s  %7s", "round", "work", "sites", "metric", "all", "guess", "best site", "worst", "ms"))
}

// row prints one record; its metric judges the model that the round began with.
func (t upTable) row(r record.Record) {
	if r.Round == 0 {
		return
	}
	name := cmp.Or(r.Shown, "-")
	work, value, best, worst := cells(r, name)
	guess := "-"
	if g, ok := r.Guess[name]; ok {
		guess = fmt.Sprintf("%.4g", g)
	}
	t.line(r.Task, fmt.Sprintf("%5d  %-10s  %2d/%2d  %-10s %9s %9s %9s %9s  %7d",
		r.Round, work, r.Counts()["counted"], len(r.Entries), name, value, guess, best, worst, max(r.CommittedMS, r.ClosedMS)-r.OpenedMS))
	if kept := r.Counts()["kept"]; kept > 0 {
		t.line(r.Task, fmt.Sprintf("       %d of %d accepted, and kept for the next attempt", kept, len(r.Entries)))
	}
	for _, x := range r.Remarks() {
		if key := r.Task + " " + x.Key; !t.remarked[key] {
			t.remarked[key] = true
			t.line(r.Task, "       "+x.Text)
		}
	}
}

// cells are what a row says of a record's work and of one of its metrics.
func cells(r record.Record, metric string) (work, value, best, worst string) {
	work, value, best, worst = r.Work, "-", "-", "-"
	if r.Verdict != record.Committed {
		work = r.Verdict
	}
	if m, ok := r.Metrics[metric]; ok {
		value, best, worst = fmt.Sprintf("%.4g", float64(m.Value)), fmt.Sprintf("%.4g", float64(m.Best)), fmt.Sprintf("%.4g", float64(m.Worst))
	}
	return work, value, best, worst
}

func (t upTable) line(task, rest string) {
	if t.tasks {
		rest = fmt.Sprintf("%-16s ", task) + rest
	}
	fmt.Fprintln(t.out, rest)
}

// inVain is how many attempts in a row may come to nothing before a trial on
// one machine is given up: a deployment goes on, and waits for an operator.
const inVain = 3

// patience gives up on a task that gets nowhere.
type patience struct {
	task   string
	giveUp func(error)
	live   bool // the records are of this run
	vain   int
}

func (p *patience) row(r record.Record) {
	switch {
	case !p.live:
	case r.Verdict == record.Abandoned:
		if p.vain++; p.vain == inVain {
			p.giveUp(fmt.Errorf("%w: %s: %d attempts in a row came to nothing; the warnings say why", errBelowQuorum, p.task, p.vain))
		}
	default:
		p.vain = 0
	}
}
