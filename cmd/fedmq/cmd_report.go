package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/record"
)

type reportCmd struct {
	Dir  string `arg:"" help:"Data directory of an aggregator, or a copy of its records/ and blobs/."`
	Task string `short:"t" placeholder:"NAME" help:"Only this task; default: all in the directory."`
	Keys string `placeholder:"PATH" help:"Public key of the aggregator (Ed25519, PEM), or a directory with *.pub: every record must be signed by one of them."`
	Out  string `short:"o" default:"report.html" help:"File to write; - is standard output."`
}

func (reportCmd) Help() string {
	return `Writes one HTML file, without scripts and without anything to load, that shows what came of
a federation: curves of its metrics, rounds, members, refusals, and what fedmq verify says of
its records and models. Reads only; the aggregator may run.

  fedmq demo && fedmq report fedmq-demo/aggregator

Exit code 0: written, and no difference was found; 1: written, and the first difference is named.`
}

func (c *reportCmd) Run(ctx context.Context) error {
	check := verifyCmd{Dir: c.Dir, Task: c.Task, Keys: c.Keys}
	found, err := check.verify(ctx)
	if err != nil {
		return err
	}
	p := reportPage{Dir: filepath.Base(filepath.Clean(c.Dir)), OK: found.OK, Notes: found.Notes, Agent: "fedmq " + version}
	v := &verifier{dir: c.Dir}
	if err := v.readState(); err != nil {
		return err
	}
	for _, t := range found.Tasks {
		recs, err := v.records(t.Task)
		if err != nil {
			return fmt.Errorf("task %s: %w", t.Task, err)
		}
		p.Tasks = append(p.Tasks, reportOf(t, recs))
	}
	if err := c.write(p); err != nil {
		return err
	}
	return found.err()
}

func (c *reportCmd) write(p reportPage) error {
	if err := writeOutput(c.Out, 0o644, false, p.render); err != nil { // to be shown
		return err
	}
	if !toStdout(c.Out) {
		fmt.Fprintln(os.Stderr, "written:", c.Out)
	}
	return nil
}

func (p reportPage) render(w io.Writer) error { return reportHTML.Execute(w, p) }

// records reads all records of a task, oldest first, but for those that cannot
// be read: the verification names them.
func (v *verifier) records(task string) (recs []record.Record, err error) {
	places, noFile, err := v.places(task)
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		raw, err := v.read(task, at, noFile[at])
		if err != nil {
			continue
		}
		r, err := record.Decode(raw)
		if err != nil {
			continue
		}
		recs = append(recs, r)
	}
	return recs, nil
}
