package wire

import (
	"bytes"
	"cmp"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// twin is Scan in the obvious, recursive way: it returns the bytes after one
// item, or false.
func twin(b []byte, depth int, items *int) ([]byte, bool) {
	if *items--; len(b) == 0 || *items < 0 {
		return nil, false
	}
	t, bad := next(b)
	if bad != "" {
		return nil, false
	}
	rest := b[t.size:]
	switch t.kind {
	case tokStr, tokBin:
		if t.n > uint64(len(rest)) || t.kind == tokStr && !utf8.Valid(rest[:t.n]) {
			return nil, false
		}
		return rest[t.n:], true
	case tokArray, tokMap:
		if depth == 0 {
			return nil, false
		}
		var last []byte
		for i := range t.n {
			if t.kind == tokMap {
				k, bad := next(rest)
				if bad != "" || k.kind != tokStr || k.n > uint64(len(rest)-k.size) {
					return nil, false
				}
				key := rest[k.size : k.size+int(k.n)]
				if i > 0 && bytes.Compare(last, key) >= 0 {
					return nil, false
				}
				last = key
				var ok bool
				if rest, ok = twin(rest, depth-1, items); !ok {
					return nil, false
				}
			}
			var ok bool
			if rest, ok = twin(rest, depth-1, items); !ok {
				return nil, false
			}
		}
	}
	return rest, true
}

func twinScan(b []byte, lim ScanLimits) bool {
	items := lim.Items
	rest, ok := twin(b, lim.Depth, &items)
	return ok && len(rest) == 0
}

// The scan agrees with its twin on structures, and on structures with one byte
// changed or cut.
func TestScanTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := drawItem(rt, 0, nil)
		switch rapid.IntRange(0, 3).Draw(rt, "fault") {
		case 1:
			b[rapid.IntRange(0, len(b)-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "byte")
		case 2:
			b = b[:rapid.IntRange(0, len(b)-1).Draw(rt, "cut")]
		case 3:
			b = append(b, 0)
		}
		lim := ScanLimits{Depth: rapid.IntRange(1, 8).Draw(rt, "depth"), Items: rapid.IntRange(1, 60).Draw(rt, "items")}
		if got, want := Scan(b, lim) == nil, twinScan(b, lim); got != want {
			rt.Fatalf("Scan(%x, %+v) accepts: %v, its twin: %v", b, lim, got, want)
		}
	})
}

// drawItem appends a random item in canonical form.
func drawItem(t *rapid.T, depth int, b []byte) []byte {
	kinds := 9
	if depth > 4 {
		kinds = 7
	}
	switch rapid.IntRange(1, kinds).Draw(t, "kind") {
	case 1:
		return append(b, 0xc0)
	case 2:
		return append(b, 0xc3)
	case 3:
		return appendUint(b, rapid.Uint64().Draw(t, "uint")>>rapid.IntRange(0, 63).Draw(t, "shift"))
	case 4:
		return appendInt(b, rapid.Int64().Draw(t, "int")>>rapid.IntRange(0, 63).Draw(t, "shift"))
	case 5:
		return appendFloat(b, rapid.Float64().Draw(t, "float"))
	case 6:
		return appendStr(b, rapid.StringN(0, 40, 300).Draw(t, "str"))
	case 7:
		return appendBin(b, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bin"))
	case 8:
		n := rapid.IntRange(0, 20).Draw(t, "n")
		b = appendArray(b, n)
		for range n {
			b = drawItem(t, depth+1, b)
		}
		return b
	}
	n := rapid.IntRange(0, 5).Draw(t, "n")
	b = append(b, 0x80|byte(n))
	for i := range n {
		b = drawItem(t, depth+1, appendStr(b, string(rune('a'+i))))
	}
	return b
}

// Numbers and lengths are written as the library writes them in its compact
// mode, at every boundary of a form; and read back.
func TestFormsLikeLibrary(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.UseCompactInts(true)
	check := func(name string, got []byte, err error) {
		t.Helper()
		if err != nil || !bytes.Equal(got, buf.Bytes()) {
			t.Errorf("%s: %x, library %x (%v)", name, got[:min(len(got), 12)], buf.Bytes()[:min(buf.Len(), 12)], err)
		}
		if err := Scan(got, ScanLimits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		buf.Reset()
	}
	for shift := range 65 {
		for d := -2; d <= 2; d++ {
			u := uint64(1)<<shift + uint64(d)
			check("uint", appendUint(nil, u), enc.EncodeUint(u))
			if i := int64(u); i < 0 {
				check("int", appendInt(nil, i), enc.EncodeInt(i))
			} else {
				check("int", appendInt(nil, -i), enc.EncodeInt(-i))
			}
		}
	}
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		check("str", appendStr(nil, string(make([]byte, n))), enc.EncodeString(string(make([]byte, n))))
		check("bin", appendBin(nil, make([]byte, n)), enc.EncodeBytes(make([]byte, n)))
		if n < MaxItems {
			check("array", append(appendArray(nil, n), make([]byte, n)...), cmp.Or(enc.EncodeArrayLen(n), writeAll(&buf, n)))
		}
	}
}

func writeAll(b *bytes.Buffer, n int) error {
	_, err := b.Write(make([]byte, n))
	return err
}

// bombs are small messages that claim much, and large ones that nest.
func bombs() map[string][]byte {
	return map[string][]byte{
		"array of 2^32-1 in 5 bytes":  {0xdd, 0xff, 0xff, 0xff, 0xff},
		"map of 2^32-1 in 5 bytes":    {0xdf, 0xff, 0xff, 0xff, 0xff},
		"bin of 2^32-1 in 5 bytes":    {0xc6, 0xff, 0xff, 0xff, 0xff},
		"str of 2^32-1 in 5 bytes":    {0xdb, 0xff, 0xff, 0xff, 0xff},
		"ext of 2^32-1 in 5 bytes":    {0xc9, 0xff, 0xff, 0xff, 0xff},
		"5 MB of nested arrays":       bytes.Repeat([]byte{0x91}, 5<<20),
		"5 MB of nested maps":         bytes.Repeat([]byte{0x81, 0xa0}, 5<<19),
		"5 MB of nils in one array":   append([]byte{0xdd, 0x00, 0x4f, 0xff, 0xfb}, bytes.Repeat([]byte{0xc0}, 5<<20-5)...),
		"5 MB of arrays of 16 arrays": bytes.Repeat([]byte{0xdc, 0x00, 0x10}, 5<<20/3),
	}
}

// Bombs are refused in microseconds and kilobytes, by the scan and by all that
// is behind it.
func TestBombs(t *testing.T) { // not parallel: it measures
	o := &Opener{NS: testNamespace(t)}
	o.Limits.Part = 8 << 20
	for name, b := range bombs() {
		for what, f := range map[string]func() error{
			"Scan":         func() error { return Scan(b, ScanLimits{}) },
			"Open":         func() error { _, _, err := o.Open(upTopic, b, Bound{}); return err },
			"DecodeUpdate": func() error { _, err := DecodeUpdate(b, nil); return err },
			"DecodeReply":  func() error { _, err := DecodeReply(b); return err },
			"Inspect":      func() error { _, err := Inspect(b); return err },
		} {
			var err error
			least := time.Hour
			got := allocated(func() {
				start := time.Now()
				err = f()
				least = min(least, time.Since(start))
			}, 0)
			if err == nil {
				t.Errorf("%s: %s accepts it", name, what)
			}
			for range 50 {
				start := time.Now()
				_ = f()
				least = min(least, time.Since(start))
			}
			if got > 16<<10 || least > 2*time.Millisecond {
				t.Errorf("%s: %s took %v and %d bytes", name, what, least, got)
			}
		}
	}
}
