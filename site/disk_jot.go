package site

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
)

// jotted is a change that was written aside. The envelope and the bytes of the model
// follow it.
type jotted struct {
	Task     string
	After    uint64 // the mark of the transaction before
	N        uint64 // how many have been since
	State    *member.State
	Drop     []uint64
	Gone     []model.Hash
	Entry    *member.Entry
	Model    *layout
	Feedback *private
	Control  *model.Hash
	Envelope int // bytes
	rest     []byte
}

// Jot writes two files in turns, so that one which the end of the process cuts short
// leaves what was jotted down before. Without a mark of this life it is a Save.
func (d boltDisk) Jot(task string, c change) error {
	m := d.marks[task]
	if m == nil {
		return d.Save(task, c)
	}
	m.jots++
	j := jotted{Task: task, After: m.at, N: m.jots, State: c.State, Drop: c.Drop, Gone: c.Gone, Entry: c.Entry, Feedback: c.Feedback, Control: c.Control, Envelope: len(c.Envelope)}
	var blob []byte
	if c.Model != nil {
		j.Model, blob = &c.Model.layout, c.Model.bytes
	}
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("site: outbox of task %s: %w", task, err)
	}
	crash.At("outbox.before-jot")
	name := hex.EncodeToString([]byte(task)) + "." + strconv.FormatUint(m.jots%2, 10)
	if err := d.s.WriteAside(name, b, []byte("\n"), c.Envelope, blob); err != nil {
		return err
	}
	crash.At("outbox.jotted")
	return nil
}

// readJot undoes what Jot writes.
func readJot(b []byte) (j jotted, err error) {
	head, rest, _ := bytes.Cut(b, []byte("\n"))
	if err = json.Unmarshal(head, &j); err == nil && (j.Envelope < 0 || j.Envelope > len(rest)) {
		err = errors.New("too short")
	}
	j.rest = rest
	return j, err
}

func (j jotted) change() change {
	c := change{State: j.State, Drop: j.Drop, Gone: j.Gone, Entry: j.Entry, Feedback: j.Feedback, Control: j.Control, Envelope: j.rest[:j.Envelope]}
	if j.Model != nil {
		c.Model = &keptModel{layout: *j.Model, bytes: j.rest[j.Envelope:]}
	}
	return c
}

// redo saves what was jotted down last of each task, if it follows the last transaction.
// All else is older than the state, or of another directory.
func (d boltDisk) redo() error {
	return d.s.TakeAsides(func(vals [][]byte) error {
		last := map[string]jotted{}
		for _, b := range vals {
			j, err := readJot(b)
			if err != nil {
				return fmt.Errorf("site: an outbox that was jotted down: %w", err)
			}
			at, err := d.markOf(j.Task)
			if err != nil {
				return err
			}
			if at != 0 && at == j.After && j.N > last[j.Task].N {
				last[j.Task] = j
			}
		}
		for task, j := range last {
			if err := d.Save(task, j.change()); err != nil {
				return err
			}
		}
		return nil
	})
}
