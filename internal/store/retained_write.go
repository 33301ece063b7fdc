package store

import (
	"errors"
	"fmt"
	"io/fs"

	bolt "go.etcd.io/bbolt"
)

// flush writes everything pending, about batchBytes at once.
func (r *Retained) flush() error {
	for {
		r.take()
		if len(r.writing) == 0 {
			return nil
		}
		err := r.write()
		if err != nil {
			err = fmt.Errorf("%w: write %s: %w", ErrDisk, r.path, err)
		}
		r.settle(err)
		if err != nil {
			return err
		}
	}
}

// take moves as much as is written at once from pending to writing, and nothing large
// while something small waits.
func (r *Retained) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writing = map[string]*RetainedMessage{}
	size := 0
	for _, large := range []bool{false, true} {
		for topic, m := range r.pending {
			if size >= batchBytes || m.large() != large {
				continue
			}
			r.writing[topic] = m
			delete(r.pending, topic)
			if m != nil {
				size += len(m.Payload)
			}
		}
		if len(r.writing) > 0 {
			return
		}
	}
}

// write brings what was taken to the disk. A topic whose message has become large
// leaves the database before it gets its file, and one whose message has become small
// loses its file last: of two after a crash that in the database counts.
func (r *Retained) write() error {
	todo := map[string]*RetainedMessage{} // nil: to be deleted
	for topic, m := range r.writing {
		if m != nil && !m.large() {
			todo[topic] = m
		} else if r.filed[topic].database {
			todo[topic] = nil
		}
	}
	if len(todo) > 0 {
		err := r.update(func(tx *bolt.Tx) error { return writeBatch(tx.Bucket([]byte(retainedBucket)), todo) })
		if err != nil {
			return err
		}
		for topic, m := range todo {
			r.note(topic, func(p *places) { p.database = m != nil })
		}
	}
	return r.writeFiles()
}

func (r *Retained) writeFiles() error {
	changed := false
	for topic, m := range r.writing {
		var err error
		switch {
		case m.large():
			if err = r.writeLarge(m); err == nil {
				r.note(topic, func(p *places) { p.file = true })
			}
		case r.filed[topic].file:
			if err = r.disk.Remove(largeName(topic)); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		default:
			continue
		}
		if err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	if err := r.disk.SyncDir("."); err != nil {
		return err
	}
	for topic, m := range r.writing {
		r.note(topic, func(p *places) { p.file = p.file && m.large() })
	}
	return nil
}

// note says where a topic is on the disk as soon as it is so, not when all that was
// taken is there: if the rest fails, and the topic is deleted meanwhile, it has to be
// deleted there too.
func (r *Retained) note(topic string, change func(*places)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.filed[topic]
	if change(&at); at == (places{}) {
		delete(r.filed, topic)
	} else {
		r.filed[topic] = at
	}
}

// settle has what could not be written wait again, unless its topic has changed
// meanwhile.
func (r *Retained) settle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
	for topic, m := range r.writing {
		_, filed := r.filed[topic]
		now, changed := r.pending[topic]
		switch {
		case err != nil && changed && now == nil && !filed:
			delete(r.pending, topic)
		case err != nil && !changed:
			r.pending[topic] = m
		}
	}
	r.writing = nil
}

func writeBatch(b *bolt.Bucket, todo map[string]*RetainedMessage) error {
	for topic, m := range todo {
		key := []byte(topic)
		var err error
		if m == nil {
			err = b.Delete(key)
		} else {
			err = b.Put(key, seal(retainedBucket, key, append([]byte{m.QoS}, m.Payload...)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
