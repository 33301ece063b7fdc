package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// aside is a second name of the file that is replaced, or a copy of it.
type aside struct {
	path, file string // file: where it belongs; "": it is no file that could come back
}

// pathBefore is where the file before is while the new one is tried. An empty one says that
// there was none.
func pathBefore(file string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".before")
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
	none := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !none:
		return a, err
	case !none && (!info.Mode().IsRegular() || special(a.file)):
		return aside{}, nil
	}
	a.path = pathBefore(a.file)
	if err := os.Remove(a.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if none {
		return a, os.WriteFile(a.path, nil, 0o600)
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
	case a.file == "":
		return nil
	case stands:
		return os.Remove(a.path)
	}
	return a.back()
}

// back puts the file before in its place.
func (a aside) back() error {
	info, err := os.Lstat(a.path)
	switch {
	case err != nil:
		return err
	case info.Size() > 0:
		return os.Rename(a.path, a.file)
	}
	if err := os.Remove(a.file); err != nil && !errors.Is(err, fs.ErrNotExist) { // before what says that there was none
		return err
	}
	return os.Remove(a.path)
}

// has is what the file holds at the start, nil for no version of this task. Of a process that
// was killed while its command ran that is the one before, which comes back.
func (c *modelGetCmd) has(o topics.Owner) (*wire.Header, time.Time, error) {
	var since time.Time
	if toStdout(c.Output) {
		return nil, since, nil
	}
	file, err := target(c.Output)
	if err != nil || special(file) {
		return nil, since, err
	}
	switch err := (aside{path: pathBefore(file), file: file}).back(); {
	case err == nil:
		fmt.Fprintf(os.Stderr, "fedmq: %s is again the one before: the last run ended before the command had\n", c.Output)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, since, err
	}
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil, since, nil //nolint:nilerr // there is none yet, or writing it says what is wrong
	}
	meta, err := model.ReadSafetensorsMetadata(file)
	if err != nil {
		return nil, since, nil //nolint:nilerr // it is no model: the first one takes its place
	}
	about, err := readAbout(meta[onnx.MetaAbout])
	if err != nil || about.Task != c.Task || about.Owner != o.Node() || about.Content.IsZero() || c.Own != "" {
		return nil, since, nil //nolint:nilerr // another task's, or with what a site has for itself, which changes
	}
	return &wire.Header{Round: about.Version, Base: about.Content}, info.ModTime(), nil
}
