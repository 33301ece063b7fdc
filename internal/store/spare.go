package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path"
	"slices"
)

// mostSpares is how many spare files there are: a model's and an update's that the last jot
// of a site has let go, and those that its last transaction has.
const mostSpares = 4

// spare is a file of tmp whose blob is removed. To write over it costs a third of what a
// new file does: its pages are in memory and its blocks on the disk, and nothing is
// freed and made again.
type spare struct {
	name string
	size int
}

// blank opens a file of tmp for size bytes: a spare one of that size, or a new one.
func (s *Store) blank(size int) (name string, f File, err error) {
	if name = s.takeSpare(size); name != "" {
		if f, err = s.disk.Reopen(name); !errors.Is(err, fs.ErrNotExist) {
			return name, f, err
		}
	}
	name = path.Join(tmpDir, rand.Text())
	f, err = s.disk.Create(name)
	return name, f, err
}

func (s *Store) takeSpare(size int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.spares, func(f spare) bool { return f.size == size })
	if i < 0 {
		return ""
	}
	name := s.spares[i].name
	s.spares = slices.Delete(s.spares, i, i+1)
	return name
}

// named notes a blob whose file may be a spare one.
func (s *Store) named(id [32]byte, size int) {
	if !s.overwrite {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[id] = size
}

// keepSpare takes the file of a blob of this life out of its place, in place of the
// oldest spare one if there are enough. It reports whether it has.
func (s *Store) keepSpare(id [32]byte, name string) (kept bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, ok := s.written[id]
	if !ok {
		return false, nil
	}
	delete(s.written, id)
	to := path.Join(tmpDir, rand.Text())
	if err := s.disk.Rename(name, to); err != nil {
		return false, err
	}
	s.spares = append(s.spares, spare{to, size})
	if len(s.spares) <= mostSpares {
		return true, nil
	}
	oldest := s.spares[0].name
	s.spares = slices.Delete(s.spares, 0, 1)
	return true, s.disk.Remove(oldest)
}

// dropSpares removes them. What is left goes at the next start.
func (s *Store) dropSpares() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.spares {
		_ = s.disk.Remove(f.name)
	}
	s.spares = nil
}
