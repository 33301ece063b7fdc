package broker

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// seeds are a client's packets of every type and version, whole, cut and longer,
// and those of the library's own tests, right and wrong.
func seeds(f *testing.F) {
	f.Helper()
	for _, version := range []byte{3, 4, 5} {
		for i := range ones {
			whole := []byte(said(version, i))
			f.Add(version, whole)
			f.Add(version, whole[:len(whole)*2/3])
			f.Add(version, append(bytes.Clone(whole), 0))
			f.Add(version, bytes.Repeat(whole, 3))
		}
		for _, n := range []int{shareFrom - 1, shareFrom, 2 * shareFrom} { // retained, and subscribed to
			f.Add(version, []byte(long(version, n)+said(version, 10)))
		}
		for kind := packets.Connect; kind <= packets.Auth; kind++ {
			for _, c := range packets.TPacketData[kind] {
				if len(c.RawBytes) <= 200 {
					f.Add(version, c.RawBytes)
				}
			}
		}
	}
}

// long is a retained PUBLISH with a payload of n bytes.
func long(version byte, n int) string {
	rest := "\x00\x01a\x00\x07"
	if version == 5 {
		rest += "\x00"
	}
	rest += strings.Repeat("x", n)
	return string(appendVarint([]byte{0x33}, len(rest))) + rest
}

// FuzzScreen: what passes the screen, the library's decoders take, without panic
// and without error.
func FuzzScreen(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, version byte, said []byte) {
		if _, ok := hello[version]; !ok {
			version = 5
		}
		_, _ = passes(t, version, said)
		_, _ = passesAs(t, "", version, said) // as a CONNECT
	})
}

// FuzzConnection: whatever a client says, the library does not panic.
func FuzzConnection(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, version byte, said []byte) {
		first, ok := hello[version]
		if !ok {
			first = hello[5]
		}
		b, err := New(Config{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.server.AddHook(guarded{b.hook}, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			c := &conn{Conn: &feed{r: io.MultiReader(bytes.NewReader([]byte(first)), bytes.NewReader(said))}, patience: b.patience}
			b.running = true
			if b.track(c) {
				b.serveConn(c, "fuzz")
			}
		}
		if n := b.hook.tally.refused[ReasonPanic].Load(); n > 0 {
			t.Fatalf("version %d, % x: %d panics", version, said, n)
		}
		if n := b.server.Info.Clone(); n.ClientsConnected != 0 || n.Inflight < 0 || n.Subscriptions < 0 {
			t.Fatalf("version %d, % x: left behind: %+v", version, said, n)
		}
	})
}
