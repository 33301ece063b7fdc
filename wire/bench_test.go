package wire

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/fedmq/fedmq/internal/zframe"
	"github.com/fedmq/fedmq/model"
)

// sizes of the f32 tensor in benchmarks, in elements.
var sizes = []int{1 << 10, 1 << 15, 1 << 20}

func benchUpdate(b *testing.B, n int) Update {
	b.Helper()
	s, err := model.NewSchema(model.Spec{Name: "layers.0.weight", Shape: []int{n}})
	if err != nil {
		b.Fatal(err)
	}
	m := model.New(s)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%1000) * 0.001
	}
	if err := m.SetFloat32s("layers.0.weight", v); err != nil {
		b.Fatal(err)
	}
	return Update{Samples: 100, Metrics: map[string]float64{"loss": 1, "n": 2}, Tensors: m}
}

func bySize(b *testing.B, f func(b *testing.B, u Update, body []byte)) {
	b.Helper()
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dKiB", n/256), func(b *testing.B) {
			u := benchUpdate(b, n)
			body := encode(b, u)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			f(b, u, body)
		})
	}
}

func BenchmarkEncodeUpdate(b *testing.B) {
	bySize(b, func(b *testing.B, u Update, _ []byte) {
		for b.Loop() {
			encode(b, u)
		}
	})
}

func BenchmarkDecodeUpdate(b *testing.B) {
	bySize(b, func(b *testing.B, u Update, body []byte) {
		for b.Loop() {
			if _, err := DecodeUpdate(body, u.Tensors.Schema); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := testSigner(b, 2)
	bySize(b, func(b *testing.B, _ Update, body []byte) {
		h := header(b, KindUpdate)
		for b.Loop() {
			seal(b, h, body, s)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, signed := range []bool{true, false} {
		b.Run(map[bool]string{true: "signed", false: "unsigned"}[signed], func(b *testing.B) {
			o := &Opener{NS: testNamespace(b), Limits: Limits{Part: 8 << 20}}
			if signed {
				o.Keys = testKeys(b)
			}
			bySize(b, func(b *testing.B, _ Update, body []byte) {
				payload := seal(b, header(b, KindUpdate), body, testSigner(b, 2))
				for b.Loop() {
					if _, _, err := o.Open(upTopic, payload, Bound{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkCompress(b *testing.B) {
	bySize(b, func(b *testing.B, _ Update, body []byte) {
		for b.Loop() {
			if _, err := zframe.Compress(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecompress(b *testing.B) {
	bySize(b, func(b *testing.B, _ Update, body []byte) {
		frame, err := zframe.Compress(body)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := decompress(frame, len(body)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// byPart cuts 4 MiB at three part sizes.
func byPart(b *testing.B, f func(b *testing.B, data []byte, blob Blob)) {
	b.Helper()
	data := testBytes(4 << 20)
	for _, partSize := range []int{MinPart, DefaultPart, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", partSize>>10), func(b *testing.B) {
			blob := blobOf(b, data, partSize)
			b.ReportAllocs()
			f(b, data, blob)
		})
	}
}

func BenchmarkNewBlob(b *testing.B) {
	byPart(b, func(b *testing.B, data []byte, blob Blob) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := NewBlob(data, int(blob.Data)+PartOverhead); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPart is one part's way: encoded, decoded, proven.
func BenchmarkPart(b *testing.B) {
	byPart(b, func(b *testing.B, data []byte, blob Blob) {
		b.SetBytes(int64(blob.Data))
		buf := make([]byte, 0, int(blob.Data)+PartOverhead)
		for b.Loop() {
			buf = AppendPart(buf[:0], Part{Count: uint32(blob.Count()), Data: data[:blob.Data]})
			p, err := DecodePart(buf, cap(buf))
			if err != nil || !blob.Holds(0, p.Data) {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDecodePart is what a part costs before it is proven, a good one
// and one that claims 4 GiB.
func BenchmarkDecodePart(b *testing.B) {
	for _, v := range []vector{
		{name: "good", expect: accepted, data: AppendPart(nil, Part{Count: 1, Data: make([]byte, 126<<10-PartOverhead)})},
		{name: "bomb", data: append(AppendPart(nil, Part{Count: 1, Data: nil})[:22], 0xc6, 0xff, 0xff, 0xff, 0xff)},
	} {
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodePart(v.data, DefaultPart); (err == nil) != (v.expect == accepted) {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	s := testSigner(b, 2)
	msg := make([]byte, 300)
	for b.Loop() {
		if _, err := s.Sign(nil, msg, noHash); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 300)
	sig := ed25519.Sign(testKey(2), msg)
	for b.Loop() {
		if !ed25519.Verify(public2, msg, sig) {
			b.Fatal("signature")
		}
	}
}

var public2 = public(2)

// BenchmarkBomb: what hostile bytes cost.
func BenchmarkBomb(b *testing.B) {
	for name, bomb := range bombs() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Scan(bomb, ScanLimits{}) == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkHeader and BenchmarkBody are the measurement of
// docs/adr/0006-own-msgpack-reader.md: the own reader, and vmihailenco/msgpack
// with typed reads behind the same scan.
func BenchmarkHeader(b *testing.B) {
	p, _, err := parse(seal(b, header(b, KindUpdate), encode(b, testUpdate(b)), testSigner(b, 2)))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeHeader(p.header); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h, err := libraryHeader(p.header)
			if err != nil || !bytes.Equal(appendHeader(nil, h), p.header) {
				b.Fatal(err)
			}
		}
	})
}

func libraryHeader(b []byte) (h Header, err error) {
	if err := Scan(b, ScanLimits{}); err != nil {
		return h, err
	}
	d := msgpack.NewDecoder(bytes.NewReader(b))
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	str := func() string { s, e := d.DecodeString(); keep(e); return s }
	num := func() uint64 { n, e := d.DecodeUint64(); keep(e); return n }
	bin := func() []byte { p, e := d.DecodeBytes(); keep(e); return p }
	_, e := d.DecodeArrayLen()
	keep(e)
	h.Suite, h.KeyID, h.Task, h.Epoch, h.Kind = uint8(num()), bin(), str(), num(), str()
	h.Round, h.Attempt, h.Sender, h.Topic = num(), uint32(num()), str(), str()
	copy(h.Base[:], bin())
	copy(h.BodyHash[:], bin())
	h.BodyLen, h.Encoding = num(), str()
	copy(h.Schema[:], bin())
	h.CreatedMS = num()
	return h, err
}

func BenchmarkBody(b *testing.B) {
	u := benchUpdate(b, 1<<18)
	body := encode(b, u)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := DecodeUpdate(body, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := libraryUpdate(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// libraryUpdate reads an inline update of one tensor.
func libraryUpdate(b []byte) (blob []byte, err error) {
	if err := Scan(b, ScanLimits{}); err != nil {
		return nil, err
	}
	d := msgpack.NewDecoder(bytes.NewReader(b))
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	array := func() int { n, e := d.DecodeArrayLen(); keep(e); return n }
	str := func() { _, e := d.DecodeString(); keep(e) }
	num := func() { _, e := d.DecodeUint64(); keep(e) }
	array()
	str()
	num()
	for range array() {
		array()
		str()
		_, e := d.DecodeFloat64()
		keep(e)
	}
	for range array() {
		array()
		str()
		str()
		for range array() {
			num()
		}
		num()
		num()
	}
	blob, e := d.DecodeBytes()
	keep(e)
	return blob, err
}
