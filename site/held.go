package site

import (
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// hold makes a model that is verified and in memory the task's.
func (s *site) hold(t *task, is member.Stored, m *model.Model, cut *wire.Blob, stored bool) error {
	if t.writing != nil { // models become the task's in the order in which they came
		if err := s.note(t.writing); err != nil {
			return err
		}
	}
	for _, o := range s.tasks { // one model is in memory, whatever the number of tasks
		o.held, o.update = nil, outgoing{}
	}
	t.held = &held{Stored: is, model: m}
	k := layoutOf(is.Content, m, cut)
	if k.InState || stored {
		s.later(t, change{Model: k})
		return nil
	}
	w := &writing{task: t, kept: k, done: make(chan struct{})}
	t.held.file, t.writing = w, w
	s.goes.Go(func() {
		w.err = s.disk.Write(is.Content, m.Blob)
		close(w.done)
		crash.At("model.written")
		select {
		case s.written <- w:
		case <-s.life.Done(): // it is noted in the end
		}
	})
	return nil
}

// note takes in that the file of a model is there, once.
func (s *site) note(w *writing) error {
	<-w.done
	if w.task.writing != w || w.err != nil {
		return w.err
	}
	w.task.writing = nil
	s.later(w.task, change{Model: w.kept})
	return nil
}

// atRest waits for what is written of a task's models, and makes all of the task durable.
func (s *site) atRest(t *task) error {
	if t.writing != nil {
		if err := s.note(t.writing); err != nil {
			return err
		}
	}
	return s.flush(t)
}

// baseOf is the model that a job starts from, where it is in memory. If it is not, it
// is on the disk.
func (s *site) baseOf(a *assignment) (*held, error) {
	h := a.task.held
	a.task.held = nil
	if h != nil && h.Content == a.job.Base {
		return h, nil
	}
	return nil, s.atRest(a.task)
}

// mostInMemory is up to which size a model that comes in parts is put together in
// memory, before anybody knows that it is one; larger ones are in a file.
const mostInMemory = 512 << 20

// receiving is a model that is put together in memory.
type receiving struct{ b []byte }

func (r *receiving) WriteAt(b []byte, off int64) (int, error) { return copy(r.b[off:], b), nil }

func (r *receiving) Discard() error { return nil }

func (r *receiving) Commit(model.Hash) ([]byte, bool, error) { return r.b, false, nil }

// makeRoom is for a model of size bytes. An update of before that is still in memory
// gives its place, if the link has nothing of it: it has a file.
func (s *site) makeRoom(size int) (incoming, error) {
	if size > mostInMemory {
		return s.disk.Receive(int64(size))
	}
	for _, t := range s.tasks {
		if b := t.update.bytes; cap(b) >= size && cap(b) < 2*size && *t.update.out == 0 {
			t.update = outgoing{}
			return &receiving{b[:size]}, nil
		}
	}
	return &receiving{make([]byte, size)}, nil
}
