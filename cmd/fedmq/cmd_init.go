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
	Trainer string `required:"" enum:"pytorch,sklearn,shell,go" placeholder:"KIND" help:"What trains: pytorch, sklearn, shell (a Perl script) or go."`
	Dir     string `arg:"" help:"Directory to write into; made when missing, and must be empty."`
}

func (initCmd) Help() string {
	return `Two sites that have seen different handwritten digits (0 to 5, 4 to 9), an aggregator, and
a trainer of a few lines that is yours to change. fedmq up DIR then runs all of it on this
machine. Nothing is downloaded; the data are in the program.`
}

func (c *initCmd) Run() error {
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
