package aggregator

import (
	"sync"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

// shelf is one version of a model as it lies on the broker in retained parts.
// The publisher takes parts from it while the driver goes on.
type shelf struct {
	blob  wire.Blob
	key   wire.BlobKey
	slot  int
	topic func(slot, part int) string

	mu    sync.Mutex
	bytes []byte  // of the model, not copied; nil once it is withdrawn
	there []bool  // the part had its PUBACK at least once
	sent  []int64 // when the part was last asked for, in ms
}

// newShelf cuts a model's bytes, which must not change until withdraw.
func newShelf(b []byte, partSize, slot int, topic func(slot, part int) string) (*shelf, error) {
	blob, err := wire.NewBlob(b, partSize)
	if err != nil {
		return nil, err
	}
	n := blob.Count()
	return &shelf{
		blob: blob, key: blob.Key(), slot: slot, topic: topic,
		bytes: b, there: make([]bool, n), sent: make([]int64, n),
	}, nil
}

// part makes the message of one part; false: the shelf was withdrawn.
func (s *shelf) part(i int) (link.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		return link.Message{}, false
	}
	off, n := s.blob.Span(i)
	return link.Message{
		Topic: s.topic(s.slot, i), QoS: 1, Retained: true,
		Payload: wire.AppendPart(make([]byte, 0, n+wire.PartOverhead), wire.Part{
			Blob: s.key, Index: uint32(i), Count: uint32(s.blob.Count()), Data: s.bytes[off : off+n], // #nosec G115 -- at most topics.MaxParts
		}),
	}, true
}

// withdraw lets go of the model's bytes: after it nobody reads them.
func (s *shelf) withdraw() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.bytes = nil
	s.mu.Unlock()
}

// took notes the PUBACK of a part.
func (s *shelf) took(i int) {
	s.mu.Lock()
	s.there[i] = true
	s.mu.Unlock()
}

// all notes that every part was on the broker when the process began.
func (s *shelf) all() {
	for i := range s.there {
		s.took(i)
	}
}

// parts returns the parts that have had their PUBACK, or those that have not.
func (s *shelf) parts(there bool) []int {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []int
	for i, ok := range s.there {
		if ok == there {
			list = append(list, i)
		}
	}
	return list
}

// again returns those of some ranges that were not published for that reason
// in the last moment, and notes that they are now.
func (s *shelf) again(ranges []wire.Range, now int64) (list []int) {
	for _, r := range ranges {
		for i := int(r.First); i < min(int(r.End()), len(s.sent)); i++ {
			if s.sent[i] == 0 || now-s.sent[i] >= needEvery.Milliseconds() {
				s.sent[i] = now
				list = append(list, i)
			}
		}
	}
	return list
}
