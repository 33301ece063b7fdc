package transfer

import (
	"testing"

	"github.com/fedmq/fedmq/wire"
)

// A member that asks for the whole model every second, for an hour, gets it some
// twelve times, where the line could carry it ninety times; 64 such members do not
// get it twice in its own flight time (TR-51, TR-58).
func TestNeedFlood(t *testing.T) {
	t.Parallel()
	const parts, each = 1_000, 40 // ms a part: 40 s for all
	for name, c := range map[string]struct{ members, most int }{
		"one member": {1, 13}, "many members": {64, 90},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, now, published, needed := NewMender(), ms(1), 0, 0
			blob := testBlob("a", parts)
			m.Hold(blob)
			m.Connected(now)
			m.All(now)
			flying := []uint32{}
			for second := ms(0); now < 3_600_000; now += each {
				if now/1_000 != second {
					second = now / 1_000
					member := string(rune('a' + second%ms(c.members)))
					m.Need(now, member, wire.Need{Blob: blob.Key(), Ranges: []wire.Range{{First: 0, N: parts}}})
				}
				if len(flying) > 0 {
					m.Sent(now, flying[0], true)
					flying = flying[1:]
				}
				rd := m.Ready()
				flying = append(flying, rd.Publish...)
				published += len(rd.Publish)
				needed += len(rd.Needed)
			}
			if models := needed / parts; models < 10 || models > c.most || published != needed+parts {
				t.Errorf("%d models were published, %d of them for needs, want at most %d", published/parts, models, c.most)
			}
		})
	}
}

// What the line has shown counts for the next model, and for none once the link was down (TR-57).
func TestMenderNext(t *testing.T) {
	t.Parallel()
	m := NewMender()
	if m.Swift() {
		t.Error("swift before a connect")
	}
	m.Connected(1)
	m.Hold(testBlob("a", 7))
	m.All(1)
	now := int64(1)
	for sent := 0; sent < 7; {
		if sent < 3 && m.Swift() {
			t.Errorf("swift after %d parts", sent)
		}
		list := m.Ready().Publish
		if now++; len(list) == 0 {
			t.Fatal("nothing is owed")
		}
		for _, i := range list {
			m.Sent(now, i, true)
			sent++
		}
	}
	m = m.Next()
	m.Hold(testBlob("b", 40))
	m.All(now)
	if n := len(m.Ready().Publish); n != inFlight || !m.Swift() {
		t.Errorf("%d parts of the next model leave at once, want %d", n, inFlight)
	}
	m.Disconnected(now)
	if m.Swift() {
		t.Error("swift without a link")
	}
	m.Connected(now)
	if n := len(m.Ready().Publish); n != 1 || m.Swift() {
		t.Errorf("%d parts leave at once after a connect, want 1", n)
	}
}
