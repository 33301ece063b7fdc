package aggregator

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// borrow reads an update from where it lies into the buffer, until the next
// one, and decodes it.
func (s *sum) borrow(st *staged, schema model.Schema) (err error) {
	buf := s.room(schema.Bytes())
	if st.stage != nil {
		st.raw, err = st.stage.Read(buf)
	} else {
		st.raw, err = s.store.BlobInto(st.content, buf)
	}
	if err != nil {
		return err
	}
	st.borrowed = true
	return s.decode(st, schema)
}

// decode makes the tensors of an update from its bytes.
func (s *sum) decode(st *staged, schema model.Schema) (err error) {
	st.delta, err = s.registry.Decode(st.encoding, st.raw, schema, s.plain)
	if err == nil && len(st.raw) > 0 && &st.delta.Blob[0] != &st.raw[0] {
		s.plain = st.delta.Blob
	}
	return err
}

// room returns n bytes of the buffer, which is made large enough for the next
// model too.
func (s *sum) room(n int) []byte {
	if cap(s.buffer) < n {
		if s.base != nil {
			n = max(n, len(s.base.Blob))
		}
		s.buffer = make([]byte, n)
	}
	return s.buffer[:n]
}

// updates reads what is in the sum, in the order given.
func (s *sum) updates(accepted []round.Accepted) *strategy.Updates {
	schema := s.fold.Schema()
	all := &strategy.Updates{Schema: schema}
	for _, acc := range accepted {
		all.List = append(all.List, s.update(s.in[acc.Member].samples, nil))
	}
	at, whole := -1, &staged{} // the one that is in memory
	all.ReadAt = func(p []byte, i, off int) error {
		st := s.in[accepted[i].Member]
		switch {
		case st.delta != nil:
			copy(p, st.delta.Blob[off:])
			return nil
		case st.stage != nil && st.encoding == "":
			return st.stage.ReadAt(p, off)
		}
		if at != i {
			at, whole = -1, &staged{content: st.content, encoding: st.encoding, stage: st.stage}
			own := &sum{registry: s.registry, store: s.store}
			if err := own.borrow(whole, schema); err != nil {
				return err
			}
			at = i
		}
		copy(p, whole.delta.Blob[off:])
		return nil
	}
	return all
}
