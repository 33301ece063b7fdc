package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/examples/digits"
	"github.com/fedmq/fedmq/python"
)

type initCmd struct {
	Trainer string `enum:",pytorch,sklearn,shell,go" default:"" placeholder:"KIND" help:"What trains handwritten digits: pytorch, sklearn, shell (a Perl script) or go."`
	csvFlags
	Dir string `arg:"" help:"Directory to write into; made when missing. With --trainer it must be empty."`
}

func (initCmd) Help() string {
	return `With --csv a federation on files of your own, one site each:

  fedmq init line --csv berlin.csv --csv lyon.csv --target result

finds out how they are written, what their columns have in them and what the target is, writes the
configurations, and says what it left out and why. The files stay where they are.

With --trainer two sites that have seen different handwritten digits (0 to 5, 4 to 9), an aggregator, and
a trainer of a few lines that is yours to change. fedmq up DIR then runs all of it on this
machine. Nothing is downloaded; the data are in the program.`
}

func (c *initCmd) Run() error {
	switch {
	case len(c.CSV) > 0:
		return c.run(c.Dir)
	case c.Trainer == "":
		return usageError{errors.New("want --csv FILE, for data of your own, or --trainer KIND, for an example")}
	}
	return c.example()
}

// example lays out the handwritten digits.
func (c *initCmd) example() error {
	entries, err := os.ReadDir(c.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		return usageError{fmt.Errorf("%s is not empty; want a new directory", c.Dir)}
	}
	folder, err := digits.Folder(c.Trainer, python.Files)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		path := filepath.Join(c.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // a folder of sources
			return err
		}
		if err := os.WriteFile(path, folder[name], 0o644); err != nil { // sources, no secrets
			return err
		}
	}
	fmt.Fprintf(stdout, "%s: a federation of two sites that have seen different handwritten digits (%s/README.md).\n", c.Dir, c.Dir)
	fmt.Fprintf(stdout, "It needs %s.\n\nRun it:  fedmq up %s\n", digits.Needs(c.Trainer), c.Dir)
	return nil
}
