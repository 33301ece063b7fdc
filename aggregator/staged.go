package aggregator

import (
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// staged is one update, or the offer of one.
type staged struct {
	schema   model.Schema // of an offer, and so the next
	length   int
	content  model.Hash
	encoding string // of its bytes; "": the values as they are
	came     string // the encoding in which it travelled, and that its content is of
	samples  uint64
	round    uint64          // that it was made for
	update   strategy.Update // as it was checked, without tensors
	raw      []byte          // the bytes that have this content; nil for one of numbers alone, and once it is in the sum
	delta    *model.Model
	measured
	scores record.Values // what follows from that, once it is asked for
	bytes  int64

	stage    *store.Stage // of one that came in parts
	borrowed bool         // raw lies in the scratch buffer
	torn     bool         // something that was to be in the stage is not
	onDisk   bool         // it was kept before
}

// scratch is the memory in which updates that are not in memory are read, and in which
// they are decoded, one at a time.
type scratch struct {
	registry strategy.Registry
	store    *store.Store
	buffer   []byte // for one update, and for the next model
	plain    []byte // for one update that is decoded
	least    int    // bytes of the model
}

// borrow reads the bytes of an update into the buffer, where they are until the next one,
// and decodes them.
func (s *scratch) borrow(st *staged, schema model.Schema) (err error) {
	if st.stage == nil {
		st.raw, err = s.store.BlobInto(st.content, s.room(schema.Bytes()))
	} else {
		st.raw, err = st.stage.Read(s.room(schema.Bytes()))
	}
	if err != nil {
		return err
	}
	st.borrowed = true
	return s.decode(st, schema)
}

// decode makes the tensors of an update from its bytes.
func (s *scratch) decode(st *staged, schema model.Schema) (err error) {
	st.delta, err = s.registry.Decode(st.encoding, st.raw, schema, s.plain)
	if err == nil && len(st.raw) > 0 && &st.delta.Blob[0] != &st.raw[0] {
		s.plain = st.delta.Blob
	}
	return err
}

// room returns n bytes of the buffer, which is made large enough for the next
// model too.
func (s *scratch) room(n int) []byte {
	if cap(s.buffer) < n {
		s.buffer = make([]byte, max(n, s.least))
	}
	return s.buffer[:n]
}
