package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// What serves nobody has a pace; what does has none.
func TestPace(t *testing.T) {
	t.Parallel()
	const n = 5000
	for name, tc := range map[string]struct {
		said string // n times
		want time.Duration
	}{
		"PINGREQ":                        {"\xc0\x00", 4 * time.Second},
		"acknowledgements of nothing":    {"\x40\x02\x00\x07", 4 * time.Second},
		"PUBREC again":                   {"\x50\x02\x00\x07", 4 * time.Second},
		"PUBREL of nothing":              {"\x62\x02\x00\x07", 4 * time.Second},
		"SUBSCRIBE with two filters":     {"\x82\x0a\x00\x01\x00\x01a\x01\x00\x01b\x00", 9 * time.Second},
		"UNSUBSCRIBE":                    {"\xa2\x05\x00\x01\x00\x01a", 4 * time.Second},
		"PUBLISH":                        {"\x30\x05\x00\x01ahi", 0},
		"PUBLISH of QoS 1, acknowledged": {"\x32\x07\x00\x01a\x00\x07hi", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				b, _ := run(t, Config{Open: true})
				c := join(t, b.Conn(""), connectOpts{id: "c"})
				go func() { // they are not what this is about
					for range c.in {
					}
				}()
				other := join(t, b.Conn(""), connectOpts{id: "other"})
				began := time.Now()
				_, _ = c.conn.Write([]byte(strings.Repeat(tc.said, n)))
				synctest.Wait()
				// The last buffer is read and not paid for yet.
				if took := time.Since(began); took < tc.want-time.Second/2 || took > tc.want+time.Second/2 {
					t.Errorf("%d took %v, want %v", n, took, tc.want)
				}
				began = time.Now()
				if !other.alive() || time.Since(began) > 0 {
					t.Errorf("another client waits for %v", time.Since(began))
				}
			})
		})
	}
}

// A client that acknowledges what it gets, as fast as it can, is not held up.
func TestPaceOfAcknowledgements(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		c := join(t, b.Conn(""), connectOpts{id: "c"})
		c.subscribe("t", 2)
		p := join(t, b.Conn(""), connectOpts{id: "p"})
		began := time.Now()
		for range 2500 {
			p.publishAsync("t", "x", 2, false)
			for done := false; !done; {
				pk, _ := c.next()
				c.answer(pk)
				done = pk.FixedHeader.Type == packets.Pubrel
			}
			pk, _ := p.await(packets.Pubrec)
			p.answer(pk)
		}
		if took := time.Since(began); took > 2*time.Second { // PUBRELs of the publisher have a pace
			t.Errorf("2500 messages of QoS 2 took %v", took)
		}
	})
}
