package site

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/codec"
	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// control are the control variates of a job, f32 or f64 by tensor under the plain names:
// c of all sites, and what a gradient is corrected by, c - c_i (S-54).
type control struct{ c, correction *model.Model }

// controlOf reads those of a base, and the site's own from the disk. Own ones that cannot
// be read, or are of other tensors, count as 0.
func (j *job) controlOf(base *model.Model) (*control, error) {
	schema, err := controlSchema(base.Schema)
	if err != nil {
		return nil, err
	}
	k := &control{model.New(schema), model.New(schema)}
	rest, err := j.ownControls(schema.Bytes())
	if err != nil {
		return nil, err
	}
	for _, spec := range schema {
		c, diff := k.c.Bytes(spec.Name), k.correction.Bytes(spec.Name)
		copy(c, base.Bytes(model.ControlName(spec.Name)))
		combine(spec.DType, diff, c, rest, func(c, mine float64) float64 { return c - mine })
		rest = rest[len(diff):]
	}
	return k, nil
}

// ownControls are those of the site, of n bytes.
func (j *job) ownControls(n int) (own []byte, err error) {
	if j.offline != nil {
		own = j.offline.own
	} else if own, err = readControls(j.disk, j.control); err != nil {
		return nil, err
	}
	if len(own) != n {
		own = make([]byte, n)
	}
	return own, nil
}

// readControls reads control variates from the disk; nil: there are none, or no more.
func readControls(d disk, id model.Hash) (b []byte, err error) {
	if id.IsZero() {
		return nil, nil
	}
	if b, err = d.Update(id); err != nil && isGone(err) {
		return nil, nil
	}
	return b, err
}

// combine sets dst, which may be a or b, to what becomes of the values of two others, each
// rounded once to the type of all three.
func combine(d model.DType, dst, a, b []byte, of func(a, b float64) float64) {
	x, y := make([]float64, len(dst)/d.Size()), make([]float64, len(dst)/d.Size())
	fold.Values(x, a, d)
	fold.Values(y, b, d)
	for i := range x {
		x[i] = of(x[i], y[i])
	}
	fold.PutValues(dst, d, x)
}

// controlSchema is that of the control variates of a model, under the plain names.
func controlSchema(s model.Schema) (model.Schema, error) {
	if !s.HasControls() {
		return nil, errors.New("the strategy needs a correction of gradients, and the model has no control variates")
	}
	out := s.Plain().Shared()
	for _, spec := range out {
		if !fold.Summed(spec.DType) {
			return nil, fmt.Errorf("tensor %s: control variates of %v", spec.Name, spec.DType)
		}
	}
	return out, nil
}

// change makes the update of a controlled site: the difference that training has made,
// and for each tensor c_i+ - c_i = -c - difference/(steps lr), which has that sign as the
// difference is of the trained model less the received one.
func (k *control) change(delta *model.Model, scalars map[string]float64) (*model.Model, error) {
	schema, err := delta.Schema.Controlled()
	if err != nil {
		return nil, err
	}
	out := model.New(schema)
	way := scalars[trainer.ScalarSteps] * scalars[trainer.ScalarLR]
	for _, spec := range delta.Schema {
		copy(out.Bytes(spec.Name), delta.Bytes(spec.Name))
		b := out.Bytes(model.ControlName(spec.Name))
		combine(spec.DType, b, k.c.Bytes(spec.Name), delta.Bytes(spec.Name), func(c, d float64) float64 { return -c - d/way })
		if odd := fold.FirstNotFinite(b, spec.DType); odd != nil {
			return nil, fmt.Errorf("control variate of tensor %s: %w: %w; a larger learning rate, or fewer large values in the data, may help", spec.Name, odd, errNotFinite)
		}
	}
	return out, nil
}

// settleControls has the site's control variates follow its updates that count, in the
// transaction that takes them out of the outbox.
func (s *site) settleControls(t *task, list []member.Settled) error {
	for _, f := range list {
		if !f.Counted || !f.Entry.Control || f.Round < t.left().Rolled {
			continue
		}
		id, err := s.moved(t, f.Entry)
		if err != nil && !isGone(err) {
			return err
		}
		if err != nil {
			s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", f.Round).Err(err).Msg("the update that counted cannot be read back: the control variates stay as they were")
			continue
		}
		t.control = id
		s.later(t, change{Control: &id})
	}
	return nil
}

// moved writes the site's control variates after an update that counts.
func (s *site) moved(t *task, e member.Entry) (id model.Hash, err error) {
	_, u, err := s.readEntryBack(t, e)
	if err != nil {
		return id, err
	}
	before, err := readControls(s.disk, t.control)
	if err != nil {
		return id, err
	}
	told, err := decoded(u.Tensors, u.Encoding)
	if err != nil {
		return id, err
	}
	return s.durable(addControls(before, told))
}

// decoded is an update as the aggregator folds it.
func decoded(u *model.Model, encoding string) (*model.Model, error) {
	if encoding == "" {
		return u, nil
	}
	c, err := codec.Parse(encoding)
	if err != nil {
		return nil, err
	}
	m := model.New(u.Schema)
	return m, c.Decode(m.Blob, u.Blob, u.Schema)
}

// addControls returns the control variates after an update that counts: those before, 0
// if they are of other tensors, and the changes that the update tells.
func addControls(before []byte, u *model.Model) (after []byte) {
	for _, spec := range u.Schema {
		if model.IsControl(spec.Name) {
			after = append(after, u.Bytes(spec.Name)...)
		}
	}
	if len(before) != len(after) {
		return after
	}
	rest := after
	for _, spec := range u.Schema {
		if !model.IsControl(spec.Name) {
			continue
		}
		n := spec.Bytes()
		combine(spec.DType, rest[:n], rest[:n], before[:n], func(now, was float64) float64 { return now + was })
		rest, before = rest[n:], before[n:]
	}
	return after
}

// Controls are the control variates of a site that works without a broker; the zero
// value is that of one that begins. Settled is told what became of its updates.
type Controls struct {
	own, next []byte
	round     uint64 // of next
}

// Settled takes over the control variates of an update that counts.
func (c *Controls) Settled(round uint64, counted bool) {
	if counted && round == c.round && c.next != nil {
		c.own = c.next
	}
	c.next = nil
}
