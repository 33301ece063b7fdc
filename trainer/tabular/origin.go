package tabular

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/fedmq/fedmq/trainer"
)

// File is a file that was read.
type File struct {
	Name   string
	SHA256 [32]byte // of its bytes
	About  string   // how it is written: "semicolons, decimal commas"; "" if plainly

	info fs.FileInfo // as it was opened; nil: not known
}

// statter is what files may be.
type statter interface{ Stat() (fs.FileInfo, error) }

// tracked notes what is read of a file.
type tracked struct {
	io.ReadCloser
	hash hash.Hash
	file File
	to   *[]File
}

// tracker notes what is read.
type tracker struct {
	Files
	to *[]File
}

func track(files Files, to *[]File) Files { return tracker{files, to} }

func (r tracker) Open(name string) (io.ReadCloser, error) {
	f, err := r.Files.Open(name)
	if err != nil {
		return nil, err
	}
	t := &tracked{ReadCloser: f, hash: sha256.New(), file: File{Name: name}, to: r.to}
	if s, ok := f.(statter); ok {
		t.file.info, _ = s.Stat() // without it the file is read again
	}
	return t, nil
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.hash.Write(p[:n])
	return n, err
}

func (t *tracked) Close() error {
	t.hash.Sum(t.file.SHA256[:0])
	if !slices.ContainsFunc(*t.to, func(f File) bool { return f.Name == t.file.Name && f.SHA256 == t.file.SHA256 }) {
		*t.to = append(*t.to, t.file) // train and test may be one file
	}
	return t.ReadCloser.Close()
}

// origin is where a trainer's rows come from.
type origin struct {
	files  Files
	config Config
	loaded func(*Data)

	follows *Config // without features; nil: it has its own

	begun   bool // a job was done
	round   uint64
	attempt uint32
}

// Open loads the rows that c describes and returns a trainer that reads them
// again, if the files have changed: when a task begins, and with reload: round
// before each round. Without features the trainer is a Follower. loaded, which may be nil, is called with what was read.
func Open(files Files, c Config, loaded func(*Data)) (*Trainer, error) {
	if loaded == nil {
		loaded = func(*Data) {}
	}
	if len(c.Features) == 0 {
		return follower(files, c, loaded)
	}
	d, err := Load(files, c)
	if err != nil {
		return nil, err
	}
	t, err := New(d)
	if err != nil {
		return nil, err
	}
	t.origin = &origin{files: files, config: c, loaded: loaded}
	loaded(d)
	return t, nil
}

// Refresh reads the files again where that is due. An attempt that is repeated
// has the rows that it had.
func (t *Trainer) Refresh(_ context.Context, job trainer.Job) error {
	s := t.origin
	if s == nil || t.data.pipe == nil || !s.due(job) || !t.data.changed(s.files) {
		return nil
	}
	d, err := Load(s.files, s.config)
	if err == nil {
		_, err = New(d)
	}
	if err != nil {
		s.begun = false // the next job tries again
		return fmt.Errorf("the data have changed, and cannot be read again: %w", err)
	}
	if d.hash() == t.data.hash() {
		t.data.Files = d.Files
		return nil
	}
	t.data = d
	s.loaded(d)
	return nil
}

// due reports whether a task begins with a job, the first time or anew, or a
// round that is to have what is there now.
func (s *origin) due(job trainer.Job) bool {
	first := !s.begun || job.Round < s.round || job.Round == s.round && job.Attempt < s.attempt
	later := s.config.Reload == reloadRound && job.Round > s.round
	s.begun, s.round, s.attempt = true, job.Round, job.Attempt
	return first || later
}

// Source says what was read last.
func (t *Trainer) Source() trainer.Source {
	return trainer.Source{Rows: t.data.Train.N, TestRows: t.data.Test.N, Read: t.data.Read, SHA256: t.data.hash()}
}

// hash is that of the file, or of the hashes of several; "" for rows that come
// from none.
func (d *Data) hash() string {
	switch len(d.Files) {
	case 0:
		return ""
	case 1:
		return hex.EncodeToString(d.Files[0].SHA256[:])
	}
	h := sha256.New()
	for _, f := range d.Files {
		h.Write(f.SHA256[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// changed reports whether a file is not the one that was read, or may not be.
func (d *Data) changed(files Files) bool {
	if slices.ContainsFunc(d.found, func(f found) bool { return !f.same(files) }) {
		return true
	}
	return slices.ContainsFunc(d.Files, func(f File) bool {
		file, err := files.Open(f.Name)
		if err != nil {
			return true // reading it says why
		}
		defer file.Close() //nolint:errcheck // nothing was written
		s, ok := file.(statter)
		if !ok || f.info == nil {
			return true
		}
		now, err := s.Stat()
		return err != nil || now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) || !os.SameFile(now, f.info)
	})
}
