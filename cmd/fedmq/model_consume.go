package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/consumer"
	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
)

// consume follows what is released for a node, which says what it runs.
func (c *modelGetCmd) consume(ctx context.Context, log zerolog.Logger) error {
	ns, o, err := c.topics()
	if err != nil {
		return err
	}
	opener, err := c.opener(ns, c.Keys)
	if err != nil {
		return usageError{err}
	}
	way, err := c.config(log, "consumer", link.Config{})
	if err != nil {
		return err
	}
	live := progressOf(os.Stderr)
	err = consumer.Run(ctx, consumer.Config{
		Link: way, NS: ns, Owner: o, Task: c.Task, Path: c.Path, Opener: opener, Largest: uint64(maxModelFile), Agent: "fedmq/" + version,
		Take: func(ctx context.Context, m *follow.Model) error { return c.take(ctx, m) },
		Complain: func(err error) {
			live.end()
			fmt.Fprintln(os.Stderr, "fedmq:", err)
		},
		Progress: func(version uint64, have, count int) { live.show("version %d: %d of %d parts", version, have, count) },
	})
	live.end()
	if errors.Is(err, consumer.ErrNode) {
		return usageError{err}
	}
	return err
}

// take puts a version in the place of the one before, which comes back where the command
// fails.
func (c *modelGetCmd) take(ctx context.Context, m *follow.Model) error {
	before, err := c.setAside()
	if err != nil {
		return err
	}
	err = c.write(aboutOf(m), m.Model, m.Header.Epoch, m.Contract)
	if err == nil {
		err = c.exec(ctx, m.Header)
	}
	return errors.Join(err, before.settle(err == nil && ctx.Err() == nil))
}

// aside is a second name of the file that is replaced, or a copy of it.
type aside struct {
	path, file string // file: where it belongs; "": it is no file that could come back
	was        bool   // there was one
}

// setAside keeps the file that is about to be replaced.
func (c *modelGetCmd) setAside() (a aside, err error) {
	if toStdout(c.Output) {
		return a, nil
	}
	if a.file, err = target(c.Output); err != nil {
		return a, err
	}
	info, err := os.Stat(a.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, nil
	case err != nil:
		return a, err
	case !info.Mode().IsRegular() || special(a.file):
		return aside{}, nil
	}
	a.was, a.path = true, filepath.Join(filepath.Dir(a.file), "."+filepath.Base(a.file)+".before")
	if err := os.Remove(a.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if os.Link(a.file, a.path) == nil {
		return a, nil
	}
	f, err := os.Open(a.file) // a file system without links
	if err != nil {
		return a, err
	}
	err = writeWhole(a.path, info.Mode().Perm(), false, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
	return a, errors.Join(err, f.Close())
}

// settle lets the new file stand, or puts the one before in its place: none, where there
// was none.
func (a aside) settle(stands bool) error {
	switch {
	case a.file == "" || stands && !a.was:
		return nil
	case stands:
		return os.Remove(a.path)
	case a.was:
		return os.Rename(a.path, a.file)
	}
	if err := os.Remove(a.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
