package broker

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

func pub(t *testing.T, id uint16, again bool, size int) []byte {
	t.Helper()
	pk := packets.Packet{ProtocolVersion: 4, FixedHeader: packets.FixedHeader{Type: packets.Publish, Dup: again}, TopicName: "t", PacketID: id}
	if id > 0 {
		pk.FixedHeader.Qos = 1
	}
	pk.Payload = bytes.Repeat([]byte{'x'}, size)
	var b bytes.Buffer
	if err := pk.PublishEncode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// put queues an encoded packet as the connection does.
func put(q *queue, p []byte, now time.Time) error {
	if p[0]>>4 != packets.Publish {
		return q.answer(p)
	}
	end := len(p) - bytes.Count(p, []byte{'x'})
	return q.add(p[:end:end], p[end:], now)
}

// out takes what may be written now, as "answer", "0" for QoS 0, and packet ids.
func out(q *queue) (got []string) {
	for {
		q.mu.Lock()
		p := bytes.Join(q.gather(), nil)
		q.mu.Unlock()
		if len(p) == 0 {
			return got
		}
		for len(p) > 0 {
			n, used := varint(p[1:])
			whole := p[:1+used+n]
			p = p[1+used+n:]
			switch c := (cursor{b: whole[1+used:]}); {
			case whole[0]>>4 != packets.Publish:
				got = append(got, "answer")
			case whole[0]&6 == 0:
				got = append(got, "0")
			default:
				c.bytes()
				got = append(got, fmt.Sprint(c.u16()))
			}
		}
		q.sent(time.Time{})
	}
}

// Messages go out in order, no more of QoS 1 at once than the client takes;
// answers do not wait for them.
func TestQueueKeepsToTheWindow(t *testing.T) {
	t.Parallel()
	var now time.Time
	q := newQueue(1<<20, writeWithin)
	q.takes(2, 1000)
	for _, p := range [][]byte{pub(t, 1, false, 9), pub(t, 0, false, 9), pub(t, 2, false, 9), pub(t, 3, false, 9), pub(t, 0, false, 9), {0xd0, 0}, pub(t, 4, false, 9)} {
		if err := put(q, p, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		ack  uint16
		done bool
		want string
	}{
		{99, true, "answer 1 0 2"},
		{99, true, ""},
		{1, false, ""}, // PUBREC: it is still under way
		{1, true, "3 0"},
		{1, true, ""},
		{3, true, "4"},
	} {
		q.acknowledged(step.ack, step.done, now)
		if got := strings.Join(out(q), " "); got != step.want {
			t.Errorf("after the acknowledgement of %d (%v): %q, want %q", step.ack, step.done, got, step.want)
		}
	}
}

// What exceeds the limit is dropped, messages under way counted, and taken off the
// list of what is in flight. Who took nothing for ten seconds is cut off.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var lost []uint16
	q := newQueue(1000, writeWithin)
	q.lost = func(id uint16) { lost = append(lost, id) }
	add := func(id uint16, again bool, size int) error { return put(q, pub(t, id, again, size), now) }
	if err := errors.Join(add(1, false, 5000), add(2, true, 100)); err != nil {
		t.Errorf("one alone, whatever its size, and one that is sent again: %v", err)
	}
	if err := add(3, false, 10); !errors.Is(err, errDropped) || !slices.Equal(lost, []uint16{3}) {
		t.Errorf("one too many: %v, lost %v", err, lost)
	}
	if err := add(0, false, 10); !errors.Is(err, errDropped) || len(lost) != 1 {
		t.Errorf("one of QoS 0 too many: %v, lost %v", err, lost)
	}
	if err := put(q, []byte{0xd0, 0}, now); err != nil {
		t.Errorf("an answer: %v", err)
	}
	out(q) // all is read, nothing acknowledged
	q.progress = now
	now = now.Add(writeWithin)
	if err := add(4, false, 10); !errors.Is(err, errDropped) {
		t.Errorf("after ten seconds: %v", err)
	}
	now = now.Add(time.Second)
	if err := add(4, false, 10); !errors.Is(err, errStalled) {
		t.Errorf("after more than ten seconds: %v", err)
	}
	q.acknowledged(1, true, now)
	if err := add(5, false, 10); err != nil {
		t.Errorf("after an acknowledgement: %v", err)
	}
	q.acknowledged(2, true, now)
	out(q)
	q.acknowledged(5, true, now)
	if q.held != 0 || q.pool.held.Load() != 0 || len(q.flight) != 0 {
		t.Errorf("%d bytes held, %d under way at the end", q.held, len(q.flight))
	}
}

// A burst after an hour of silence is no stall.
func TestQueueAfterSilence(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	q := newQueue(1000, writeWithin)
	_ = put(q, pub(t, 1, false, 100), now)
	out(q)
	now = now.Add(time.Hour)
	for i := range 20 {
		if err := put(q, pub(t, 0, false, 100), now); errors.Is(err, errStalled) {
			t.Fatalf("cut off at message %d", i)
		}
	}
}

// What all queues hold beyond a part that is each one's own is bounded.
func TestQueuesShareWhatIsBeyond(t *testing.T) {
	t.Parallel()
	var all [5]*queue
	shared := pool{most: int64(defaultLimits.Queue)}
	held := 0
	for i := range all {
		q := newQueue(64<<20, writeWithin)
		q.pool, all[i] = &shared, q
		for put(q, pub(t, 1, false, 1<<20), time.Time{}) == nil {
			held++
		}
		if q.held < ownQueue-1<<20-99 {
			t.Errorf("queue %d holds %d bytes", i, q.held)
		}
	}
	if most := (len(all)*ownQueue + defaultLimits.Queue) >> 20; held > most || held < most-2*len(all) {
		t.Errorf("together they hold %d MiB, want up to %d", held, most)
	}
	for i, q := range all {
		if !q.end(i%2 == 0) || q.end(true) {
			t.Error("it ends once")
		}
	}
	if shared.held.Load() != 0 {
		t.Errorf("%d bytes are left", shared.held.Load())
	}
}

// What is written at once is in order: short packets joined, a long payload as it is,
// which nothing is joined to.
func TestQueueWritesPayloadsAsTheyAre(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<20, writeWithin)
	payload := bytes.Repeat([]byte{'x'}, 100_000)
	var want []byte
	for _, m := range []struct {
		id      uint16
		payload []byte
	}{{0, payload[:10]}, {7, payload}, {0, payload[:20]}, {8, payload}, {0, nil}, {9, payload}} {
		whole := pub(t, m.id, false, len(m.payload))
		want = append(want, whole...)
		head := whole[:len(whole)-len(m.payload)]
		if err := q.add(head, m.payload, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for range 3 { // as many as are long
		p, _ := q.take()
		if len(p) != 2 || &p[1][0] != &payload[0] {
			t.Errorf("%d pieces", len(p))
		}
		got = append(got, bytes.Join(p, nil)...)
	}
	if !bytes.Equal(got, want) || bytes.Count(payload, []byte{'x'}) != len(payload) {
		t.Errorf("%d bytes, want %d as they were", len(got), len(want))
	}
	if q.flight[7] != q.flight[8] || q.flight[7] <= len(payload) {
		t.Errorf("%d under way", q.flight[7])
	}
}
