package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// runTitle is what a run is called: as it was given, but for the folder that one is in.
func runTitle(path string) string {
	path = filepath.Clean(path)
	if abs, err := filepath.Abs(path); err == nil && (path == "." || path == "..") {
		return filepath.Base(abs)
	}
	return path
}

// runs reads the tasks of all places.
func (c *reportCmd) runs(dirs []string) (list []*taskRun, err error) {
	for i, dir := range dirs {
		if absent(filepath.Join(dir, "records")) {
			return nil, usageError{(&verifier{dir: dir}).nothing()}
		}
		of, err := readRuns(runTitle(c.Dir[i]), dir, c.Task)
		if err != nil {
			return nil, err
		}
		if len(of) == 0 {
			return nil, usageError{fmt.Errorf("no task %q in %s", c.Task, dir)}
		}
		list = append(list, of...)
	}
	return list, nil
}

// export writes what programs read; whether records are whole, verify says.
func (c *reportCmd) export(dirs []string) error {
	runs, err := c.runs(dirs)
	if err != nil {
		return err
	}
	if c.MLflow != "" {
		if err := exportMLflow(c.MLflow, runs); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "written: %d runs in %s; to look at them: mlflow ui --backend-store-uri %s\n", len(runs), c.MLflow, c.MLflow)
		return nil
	}
	write := exportCSV
	if c.JSON {
		write = exportJSON
	}
	return writeOutput(cmp.Or(c.Out, standardOutput), 0o644, false, func(w io.Writer) error { return write(w, runs) })
}

// compare writes one page for several places, each of which is verified.
func (c *reportCmd) compare(ctx context.Context, dirs []string) error {
	runs, err := c.runs(dirs)
	if err != nil {
		return err
	}
	problems, errs := map[string]string{}, []error(nil)
	for i, dir := range dirs {
		check := verifyCmd{Dir: dir, Task: c.Task, Keys: c.Keys}
		found, err := check.verify(ctx)
		if err != nil {
			return err
		}
		if err := found.err(); err != nil {
			problems[runTitle(c.Dir[i])] = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", c.Dir[i], err))
		}
	}
	if err := c.write(compared(runs, problems).render); err != nil {
		return err
	}
	return errors.Join(errs...)
}
