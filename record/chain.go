package record

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// ChainError says where a chain breaks first. It wraps [ErrChain].
type ChainError struct {
	Round   uint64 // of the record that does not follow
	Attempt uint32
	Problem string
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("record: the chain is broken at round %d, attempt %d: %s", e.Round, e.Attempt, e.Problem)
}

// Unwrap returns [ErrChain].
func (e *ChainError) Unwrap() error { return ErrChain }

// Chain checks that records follow each other, oldest first (rules RC-10 and
// RC-11). The zero value expects the first record of a task.
type Chain struct {
	last  Record
	tip   model.Hash
	model model.Hash // after the last committed round
	any   bool
}

// Tip returns the hash of the last record's bytes, to be held against the next
// record's prev, or against the head on the record topic: nothing in a chain
// itself can show that its end was cut off.
func (c *Chain) Tip() model.Hash { return c.tip }

// Next decodes the next record and checks that it follows. Errors wrap
// [ErrMalformed] or are a [*ChainError], and leave the chain where it was.
func (c *Chain) Next(b []byte) (Record, error) {
	r, err := Decode(b)
	if err != nil {
		return Record{}, err
	}
	if problem := c.follows(r); problem != "" {
		return r, &ChainError{Round: r.Round, Attempt: r.Attempt, Problem: problem}
	}
	c.last, c.tip, c.any = r, Hash(b), true
	if r.Verdict != Abandoned {
		c.model = r.Model
	}
	return r, nil
}

// Resume begins the chain in its middle, with a record that is taken as it is:
// what came before was checked before, or is checked elsewhere. Errors wrap
// [ErrMalformed].
func (c *Chain) Resume(b []byte) (Record, error) {
	r, err := Decode(b)
	if err != nil {
		return Record{}, err
	}
	*c = Chain{last: r, tip: Hash(b), model: r.Model, any: true}
	if r.Verdict == Abandoned {
		c.model = r.Base
	}
	return r, nil
}

// follows returns why r does not follow, or "".
func (c *Chain) follows(r Record) string {
	last := c.last
	switch {
	case !c.any && !r.Prev.IsZero():
		return "it names a record before it, which is not there"
	case !c.any:
		return ""
	case r.Prev != c.tip:
		return fmt.Sprintf("prev is not the hash of the record of round %d, attempt %d: one of them was changed, or one between them is missing", last.Round, last.Attempt)
	case r.Owner != last.Owner || r.Task != last.Task:
		return fmt.Sprintf("it belongs to task %q of %q, the one before to %q of %q", r.Task, r.Owner, last.Task, last.Owner)
	case !last.Origin.IsZero() && r.Origin != last.Origin:
		return fmt.Sprintf("it is of the origin %q, the one before of %s: another life of the task", r.Origin, last.Origin)
	case r.Epoch < last.Epoch:
		return fmt.Sprintf("epoch %d after epoch %d", r.Epoch, last.Epoch)
	case r.IDs != last.IDs && (r.Verdict != Adopted || r.IDs != IDsTree):
		return fmt.Sprintf("its content ids are of the kind %q, those before of %q; only an adoption goes over to trees", r.IDs, last.IDs)
	case r.IDs != last.IDs && !c.model.IsZero() && r.Base != c.model:
		return fmt.Sprintf("it goes over to another kind of content ids with the base %s, not the model of the last committed round, %s", r.Base, c.model)
	case r.Verdict == Adopted && r.Round <= last.Round:
		return fmt.Sprintf("round %d is adopted after round %d", r.Round, last.Round)
	case r.Verdict == Adopted:
		return ""
	}
	return c.continues(r)
}

// continues checks the numbers and the base of an ordinary record.
func (c *Chain) continues(r Record) string {
	last := c.last
	want := last.Round + 1
	if last.Verdict == Abandoned {
		want = last.Round
	}
	switch {
	case r.Round != want:
		return fmt.Sprintf("want round %d after round %d was %s", want, last.Round, last.Verdict)
	case last.Verdict == Abandoned && r.Attempt <= last.Attempt:
		return fmt.Sprintf("want an attempt above %d of the same round", last.Attempt)
	case !c.model.IsZero() && r.Base != c.model:
		return fmt.Sprintf("its base %s is not the model of the last committed round, %s", r.Base, c.model)
	}
	return ""
}

// CheckChain checks all records of a task, oldest first, and names the first
// break by its round.
func CheckChain(records [][]byte) error {
	var c Chain
	for i, b := range records {
		if _, err := c.Next(b); err != nil {
			return fmt.Errorf("record %d of %d: %w", i+1, len(records), err)
		}
	}
	return nil
}
