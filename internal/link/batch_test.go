package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// Of messages in one write that fails those that left whole or in part have an unknown
// outcome, and the others were not sent.
func TestBatchThatFails(t *testing.T) {
	t.Parallel()
	size := packetSize(&Message{Topic: "t0", Payload: []byte("x")}) - 3 // its length takes one byte of four
	for takes, want := range map[int][]error{
		0:        {ErrNotConnected, ErrNotConnected, ErrNotConnected},
		1:        {ErrOutcomeUnknown, ErrNotConnected, ErrNotConnected},
		size:     {ErrOutcomeUnknown, ErrNotConnected, ErrNotConnected},
		size + 1: {ErrOutcomeUnknown, ErrOutcomeUnknown, ErrNotConnected},
	} {
		s := &session{guard: guardOver(nil, 1, 512), conn: &Conn{suspects: suspects{}}, pending: map[uint16]*flight{}}
		s.guard.Conn = &refusing{takes: takes, before: func() {}}
		got := make([]error, len(want))
		for i := range want {
			r := &request{msg: Message{Topic: fmt.Sprint("t", i), Payload: []byte("x"), QoS: 1}, done: func(err error) { got[i] = err }}
			s.used += r.weight()
			f, id := s.takeOff(r)
			s.leave(leaving{r: r, f: f, id: id})
		}
		s.flush(nil)
		s.strand()
		for i, err := range got {
			if !errors.Is(err, want[i]) {
				t.Errorf("%d bytes of %d taken, message %d: %v, want %v", takes, 3*size, i, err, want[i])
			}
		}
		if s.used != 0 {
			t.Errorf("room for %d is taken", s.used)
		}
	}
}

// What waits leaves together, in order; a long payload leaves with what came before it.
func TestBatchesAreFew(t *testing.T) {
	t.Parallel()
	var writes []string
	s := &session{guard: guardOver(nil, 1, 512), conn: &Conn{suspects: suspects{}}, pending: map[uint16]*flight{}}
	s.guard.Conn = noted{&refusing{}, &writes}
	put := func(topic string, n int) {
		s.leave(leaving{r: &request{msg: Message{Topic: topic, Payload: make([]byte, n)}, done: func(error) {}}})
	}
	put("a", 1)
	put("b", joinedUpTo)
	put("c", joinedUpTo) // together more than is put together
	put("d", 1)
	put("e", joinedUpTo+1) // in two pieces
	put("f", 1)
	s.flush(nil)
	s.flush(nil)
	if want := []string{"abc", "de", "", "f"}; !slices.Equal(writes, want) {
		t.Errorf("%q, want %q", writes, want)
	}
}

// noted notes which topics a write has in it.
type noted struct {
	*refusing
	writes *[]string
}

func (c noted) Write(b []byte) (int, error) {
	topics := strings.Map(func(r rune) rune {
		if r < 'a' || r > 'f' {
			return -1
		}
		return r
	}, string(b))
	*c.writes = append(*c.writes, topics)
	return len(b), nil
}

var _ io.Writer = noted{}

// A message in two pieces leaves as one that is in one piece.
func TestHeadComesBeforePayload(t *testing.T) {
	t.Parallel()
	head := []byte("head")
	for _, n := range []int{0, 1, joinedUpTo, joinedUpTo + 1} {
		payload := bytes.Repeat([]byte("p"), n)
		two := Message{Topic: "t", Head: head, Payload: payload, QoS: 1}
		one := Message{Topic: "t", Payload: append(bytes.Clone(head), payload...), QoS: 1}
		got, rest := appendPublish(nil, &two, 7)
		want, more := appendPublish(nil, &one, 7)
		if got, want = append(got, rest...), append(want, more...); !bytes.Equal(got, want) || packetSize(&two) != packetSize(&one) {
			t.Errorf("%d bytes behind 4: %d and %d, said %d and %d", n, len(got), len(want), packetSize(&two), packetSize(&one))
		}
	}
}
