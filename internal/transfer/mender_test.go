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
