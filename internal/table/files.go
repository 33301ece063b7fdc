package table

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Files is where tables are.
type Files interface {
	// Open opens the file with a name.
	Open(name string) (io.ReadCloser, error)
	// Glob lists the names that match a pattern.
	Glob(pattern string) ([]string, error)
}

// Dir is regular files relative to a directory on disk; absolute names are taken as
// they are.
func Dir(dir string) Files { return folder(dir) }

type folder string

func (d folder) at(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(string(d), name)
}

func (d folder) Open(name string) (io.ReadCloser, error) {
	name = d.at(name)
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(info); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.Open(name)
}

func (d folder) Glob(pattern string) ([]string, error) {
	found, err := filepath.Glob(d.at(pattern))
	if filepath.IsAbs(pattern) {
		return found, err
	}
	for i, name := range found {
		if rel, err := filepath.Rel(string(d), name); err == nil {
			found[i] = rel
		}
	}
	return found, err
}

// FS is the files of fsys.
func FS(fsys fs.FS) Files { return tree{fsys} }

type tree struct{ fs.FS }

func (t tree) Open(name string) (io.ReadCloser, error) { return t.FS.Open(path.Clean(name)) }

func (t tree) Glob(pattern string) ([]string, error) { return fs.Glob(t.FS, path.Clean(pattern)) }

// Expand lists the files that name stands for, in the order of their names: the file
// with this name, or those that match it as a pattern such as 2026-*.csv.
func Expand(files Files, name string) ([]string, error) {
	if !strings.ContainsAny(name, "*?[") {
		return []string{name}, nil
	}
	if f, err := files.Open(name); err == nil {
		return []string{name}, f.Close()
	}
	found, err := files.Glob(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no file matches %s", name)
	}
	slices.Sort(found)
	return found, nil
}
