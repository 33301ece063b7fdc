package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

type reportCmd struct {
	Dir  []string `arg:"" help:"Data directory of an aggregator, a copy of its records/ and blobs/, a folder of fedmq up, or one of its runs; several are put side by side."`
	Task string   `short:"t" placeholder:"NAME" help:"Only this task; default: all in the directory."`
	Keys string   `placeholder:"PATH" help:"Public key of the aggregator (Ed25519, PEM), or a directory with *.pub: every record must be signed by one of them."`
	Out  string   `short:"o" placeholder:"FILE" help:"File to write; - is standard output. Default: report.html; of --csv and --json standard output."`

	CSV    bool   `name:"csv" xor:"form" help:"A line for each metric of each round, in place of the page."`
	JSON   bool   `xor:"form" help:"The same as JSON, with the settings."`
	MLflow string `name:"mlflow" placeholder:"STORE" xor:"form" help:"Write into a directory that MLflow reads as its store of files, in place of the page."`
}

func (reportCmd) Help() string {
	return `Writes one HTML file, without scripts and without anything to load, that shows what came of
a federation: settings, the best version, metrics and their curves beside the best constant guess
and what fedmq baseline has found, classes and their confusion, sites, rounds, refusals, and
what fedmq verify says of its records and models. Reads only; the aggregator may run.

  fedmq demo && fedmq report fedmq-demo/aggregator
  fedmq report DIR/runs/001 DIR    curves of two runs in one picture, and the settings that differ
  fedmq report DIR --csv           for a spreadsheet; --json, --mlflow STORE

Exit code 0: written, and no difference was found; 1: written, and the first difference is named.`
}

func (c *reportCmd) Run(ctx context.Context) error {
	dirs := make([]string, len(c.Dir))
	for i, d := range c.Dir {
		var err error
		if dirs[i], err = dataDirOf(d); err != nil {
			return usageError{err}
		}
	}
	if err := c.named(); err != nil {
		return usageError{err}
	}
	switch {
	case c.CSV || c.JSON || c.MLflow != "":
		return c.export(dirs)
	case len(dirs) > 1:
		return c.compare(ctx, dirs)
	}
	return c.one(ctx, dirs[0])
}

// named refuses a file whose name says that it is something else than what is written.
func (c *reportCmd) named() error {
	ext := strings.ToLower(filepath.Ext(c.Out))
	switch {
	case c.CSV && (ext == ".html" || ext == ".json"), c.JSON && (ext == ".html" || ext == ".csv"), !c.CSV && !c.JSON && (ext == ".csv" || ext == ".json"):
		return fmt.Errorf("-o %s: is what --csv, --json and the page write by these names: want the flag and the name of one", c.Out)
	case slices.Contains([]string{".gif", ".png", ".jpg", ".jpeg", ".svg", ".pdf"}, ext):
		return fmt.Errorf("-o %s: a report is a page: want a name that ends with .html; pictures are made by fedmq baseline -o", c.Out)
	}
	return nil
}

// one writes the page of one data directory.
func (c *reportCmd) one(ctx context.Context, dir string) error {
	check := verifyCmd{Dir: dir, Task: c.Task, Keys: c.Keys}
	found, err := check.verify(ctx)
	if err != nil {
		return err
	}
	p := reportPage{Dir: filepath.Base(filepath.Clean(c.Dir[0])), OK: found.OK, Notes: found.Notes, Agent: "fedmq " + version}
	v := &verifier{dir: dir}
	if err := v.readState(); err != nil {
		return err
	}
	trained, err := baselineOf(c.Dir[0])
	if err != nil {
		return err
	}
	for _, t := range found.Tasks {
		src, err := c.source(v, t.Task)
		if err != nil {
			return fmt.Errorf("task %s: %w", t.Task, err)
		}
		src.trained = trained
		of := reportOf(t, src)
		if of.Gathered, err = src.gathered(); err != nil {
			return fmt.Errorf("task %s: %w", t.Task, err)
		}
		if of.Gathered != nil {
			of.NoBest = ""
		}
		p.Tasks = append(p.Tasks, of)
	}
	if err := c.write(p.render); err != nil {
		return err
	}
	return found.err()
}

// source reads what there is of a task; what cannot be read of its model is not shown.
func (c *reportCmd) source(v *verifier, task string) (src reportSource, err error) {
	src.run = &taskRun{Name: runTitle(c.Dir[0]), Dir: v.dir, Task: task}
	if src.run.Records, err = v.records(task); err != nil {
		return src, err
	}
	if src.run.Settings, err = readSettings(v.dir, task); err != nil {
		return src, err
	}
	if len(src.run.Settings) == 0 {
		src.run.Settings, src.fromFile = settingsToday(c.Dir[0], task), true
	}
	personal, err := readPersonal(v.dir)
	if err != nil {
		return src, err
	}
	src.made = personal[task]
	state, _ := roundState(v.dir, task) // the verification says why there is none
	src.contract, src.schema, src.blob = contractIn(state), v.schema(task), v.blob
	return src, nil
}

// schema is that of the model as the task was described, nil where it is not known.
func (v *verifier) schema(task string) model.Schema {
	raw, err := limited(filepath.Join(v.dir, "records", task+".json"), record.MaxDescription)
	if err != nil {
		return nil
	}
	d, err := record.DecodeDescription(raw)
	if err != nil {
		return nil // the verification says why
	}
	s, err := d.Layout()
	if err != nil {
		return nil
	}
	return s
}

func (c *reportCmd) write(render func(io.Writer) error) error {
	out := cmp.Or(c.Out, "report.html")
	if err := writeOutput(out, 0o644, false, render); err != nil { // to be shown
		return err
	}
	if !toStdout(out) {
		fmt.Fprintln(os.Stderr, "written:", out)
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
