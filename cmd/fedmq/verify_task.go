package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// task checks one task up to its first difference.
func (v *verifier) task(ctx context.Context, name string) (*taskReport, error) {
	t := &taskReport{Task: name, Signatures: "none"}
	places, noFile, err := v.places(name)
	if err != nil {
		return nil, err
	}
	about, err := limited(filepath.Join(v.dir, "records", name+".json"), record.MaxDescription)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(places) == 0 {
		t.Difference = &replay.Difference{Problem: "the task is described, but has no record"}
		return t, nil
	}
	if n := len(noFile); n > 0 {
		v.note("%s: %d records of state.db have no file; an aggregator that starts here writes them again", name, n)
	}
	p := replay.New(replay.Config{Blobs: v.blob, At: v.blobAt, Description: about, Keys: v.keys, Without: v.without})
	progress := progressOf(os.Stderr)
	defer progress.end()
	for i, at := range places {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		progress.show("%s: record %d of %d", name, i+1, len(places))
		if err := v.next(p, t, at, noFile[at]); err != nil {
			return t, t.found(err)
		}
	}
	if p.Layout() == nil {
		v.note("%s was begun by an older fedmq, which wrote no description of the model: nothing is replayed", name)
	}
	if t.Signatures == "not checked" {
		v.note("%s: signatures are not checked without --keys", name)
	}
	return t, t.found(p.Finish())
}

// next checks one record.
func (v *verifier) next(p *replay.Replay, t *taskReport, at place, noFile bool) error {
	raw, err := v.read(t.Task, at, noFile)
	if err != nil {
		return err
	}
	o, err := p.Next(at.round, at.attempt, raw)
	if err != nil {
		return err
	}
	t.count(o, v.keys != nil)
	t.without(o.Record, o.Without)
	t.Tip = p.Tip()
	return nil
}

// read returns a record's bytes, which state.db must have too where it can be
// read.
func (v *verifier) read(task string, at place, noFile bool) ([]byte, error) {
	if noFile {
		return v.fromState(task, at)
	}
	name := filepath.Join("records", task, at.file())
	raw, err := limited(filepath.Join(v.dir, name), record.MaxRecord)
	if err != nil || v.state == nil {
		return raw, err
	}
	differ := &replay.Difference{Round: at.round, Attempt: at.attempt}
	switch hash, ok := v.state[task][at]; {
	case !ok:
		differ.Problem = fmt.Sprintf("state.db has no such record as %s", name)
	case hash != record.Hash(raw):
		differ.Problem = fmt.Sprintf("%s has other bytes than state.db", name)
	default:
		return raw, nil
	}
	return nil, differ
}

// count takes one record into the numbers.
func (t *taskReport) count(o replay.Outcome, keys bool) {
	r := o.Record
	t.Owner = r.Owner
	if t.Rounds == 0 || r.Round != t.last {
		t.Rounds++
	}
	t.last = r.Round
	switch {
	case keys:
		t.Signatures = "verified"
	case r.Security == record.Signed:
		t.Signatures = "not checked"
	}
	switch r.Verdict {
	case record.Abandoned:
		t.Abandoned++
		return
	case record.Adopted:
		t.Adopted++
	default:
		t.Committed++
	}
	switch o.How {
	case replay.Replayed:
		t.Replayed++
	case replay.Hashed:
		t.Hashed++
	default:
		t.Chained++
	}
}

// found keeps a difference, and passes other errors on.
func (t *taskReport) found(err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, &t.Difference) {
		return nil
	}
	return err
}

// print writes the table.
func (r report) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)
	fmt.Fprintln(tw, "task\trounds\tcommitted\tabandoned\treplayed\tby hash\tby chain\tsignatures\tfirst difference\t")
	for _, t := range r.Tasks {
		first := "none"
		if t.Difference != nil {
			first = fmt.Sprintf("round %d", t.Difference.Round)
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", t.Task, t.Rounds, t.Committed, t.Abandoned,
			t.Replayed, t.Hashed, t.Chained, t.Signatures, first)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, t := range r.Tasks {
		if t.Difference == nil {
			if _, err := fmt.Fprintf(w, "last record of %s: %s\n", t.Task, t.Tip); err != nil {
				return err
			}
			if err := t.printWithout(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// liveLine is a line on a terminal that is written again and again.
type liveLine struct{ w *os.File }

// progressOf shows progress on w if it is a terminal.
func progressOf(w *os.File) liveLine {
	if !terminal(w) {
		return liveLine{}
	}
	return liveLine{w}
}

func (l liveLine) show(format string, args ...any) {
	if l.w != nil {
		fmt.Fprintf(l.w, "\r"+format+"\033[K", args...)
	}
}

func (l liveLine) end() {
	if l.w != nil {
		fmt.Fprint(l.w, "\r\033[K")
	}
}
