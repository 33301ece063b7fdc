package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/fedmq/fedmq/internal/zframe"
)

// Every target asserts: no panic, memory within the bound, errors that are
// refusals, and accepted bytes that re-encode to themselves. The seeds are the
// pinned vectors, so the plain tests run them too.

// seeds adds the vectors of some ops; for open it adds header or body alone
// when take says so.
func seeds(f *testing.F, take func(v vector) []byte) {
	f.Helper()
	for _, v := range pinned(f) {
		if b := take(v); b != nil {
			f.Add(b)
		}
	}
}

// bodies takes the bodies of one kind, from their own vectors and out of
// envelopes.
func bodies(kind string) func(vector) []byte {
	return func(v vector) []byte {
		if v.op == kind {
			return v.data
		}
		if v.op == "open" {
			if p, h, err := parse(v.data); err == nil && h.Kind == kind {
				return p.body
			}
		}
		return nil
	}
}

// refusal asserts that an error is a refusal with all its fields.
func refusal(t *testing.T, err error) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Reason == "" || r.Stage < StageSize || r.Stage > StageSchema || r.Detail == "" || len(r.Detail) > 2000 {
		t.Fatalf("not a whole refusal: %#v", err)
	}
}

func FuzzScan(f *testing.F) {
	seeds(f, func(v vector) []byte {
		if v.op == "scan" {
			return v.data
		}
		return bodies(KindUpdate)(v)
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		if got := allocated(func() { err = Scan(b, ScanLimits{}) }, 4<<10); got > 4<<10 {
			t.Fatalf("%d bytes allocated", got)
		}
		if (err == nil) != twinScan(b, ScanLimits{Depth: MaxDepth, Items: MaxItems}) {
			t.Fatalf("the twin disagrees: %v", err)
		}
		if err != nil {
			refusal(t, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	seeds(f, func(v vector) []byte {
		if v.op == "open" {
			return v.data
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		topics := []string{upTopic, orderTopic, modelTopic, joinTopic, replyTopic, needTopic}
		for _, o := range []*Opener{{NS: testNamespace(t)}, {NS: testNamespace(t), Keys: testKeys(t), Owner: aggNode}} {
			for _, topic := range topics {
				var h Header
				var body []byte
				var err error
				warm(t)
				allocBound(t, len(b)+DefaultPlain, func() { h, body, err = o.Open(topic, b, Bound{MaxRound: 8}) })
				if err != nil {
					refusal(t, err)
					continue
				}
				p, _, err := parse(b)
				if err != nil {
					t.Fatal(err)
				}
				again := appendUint(appendArray(nil, 4), Version)
				again = appendBin(appendBin(appendBin(again, appendHeader(nil, h)), p.body), p.signature)
				if !bytes.Equal(again, b) {
					t.Fatal("re-encodes to other bytes")
				}
				if h.Encoding != EncodingDenseZstd && !bytes.Equal(body, p.body) {
					t.Fatal("the body changed")
				}
			}
		}
		fuzzInspect(t, b)
	})
}

// fuzzInspect asserts that Inspect always has something that marshals.
func fuzzInspect(t *testing.T, b []byte) {
	t.Helper()
	in, err := Inspect(b)
	if err != nil {
		refusal(t, err)
	}
	if in == nil || (in.Problem == nil) != (err == nil) {
		t.Fatalf("%+v with %v", in, err)
	}
	if _, err := json.Marshal(in); err != nil {
		t.Fatal(err)
	}
}

func FuzzHeader(f *testing.F) {
	seeds(f, func(v vector) []byte {
		if v.op != "open" {
			return nil
		}
		p, _ := split(v.data)
		return p.header
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		var err error
		allocBound(t, 0, func() { h, err = decodeHeader(b) })
		if err != nil {
			refusal(t, err)
		} else if !bytes.Equal(appendHeader(nil, h), b) {
			t.Fatal("re-encodes to other bytes")
		}
	})
}

// fuzzBody is the target of one kind of body.
func fuzzBody(f *testing.F, kind string) {
	seeds(f, bodies(kind))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		var err error
		allocBound(t, len(b), func() { m, err = decodeBody(kind, b) })
		if err != nil {
			refusal(t, err)
			if Unsupported(err) == "" || m == nil {
				return
			}
		} else if _, err := Encode(m); err != nil {
			t.Fatal(err)
		}
		if again := m.appendTo(nil); !bytes.Equal(again, b) && !moreThan(m, b) {
			t.Fatalf("re-encodes to other bytes\n%x\n%x", b, again)
		}
		fuzzInspect(t, seal(t, header(t, kind), b, nil))
	})
}

func FuzzOrder(f *testing.F) { fuzzBody(f, KindOrder) }
func FuzzModel(f *testing.F) { fuzzBody(f, KindModel) }
func FuzzJoin(f *testing.F)  { fuzzBody(f, KindJoin) }
func FuzzReply(f *testing.F) { fuzzBody(f, KindReply) }
func FuzzNeed(f *testing.F)  { fuzzBody(f, KindNeed) }

// FuzzPart decodes hostile parts: no memory, and one encoding.
func FuzzPart(f *testing.F) {
	seeds(f, func(v vector) []byte {
		if v.op == "part" {
			return v.data
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 8 << 10
		p, err := DecodePart(b, most)
		switch {
		case err != nil:
			refusal(t, err)
		case len(b) > most || p.Index >= p.Count || len(p.Data) == 0:
			t.Fatalf("accepted: %+v of %d bytes", p, len(b))
		case !bytes.Equal(AppendPart(nil, p), b):
			t.Fatal("re-encodes to other bytes")
		}
		fuzzInspect(t, b)
	})
}

// FuzzUpdate decodes with and without a schema to match: against a schema no
// memory is needed but for metrics, and what it accepts any schema accepts.
func FuzzUpdate(f *testing.F) {
	seeds(f, bodies(KindUpdate))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := testModel(t).Schema.Shared()
		var m, free Contribution
		var err, freeErr error
		allocBound(t, len(b), func() { free, freeErr = DecodeUpdate(b, nil) })
		allocBound(t, 0, func() { m, err = DecodeUpdate(b, want) })
		if err == nil && freeErr != nil {
			t.Fatalf("accepted for a schema, but not for any: %v", freeErr)
		}
		if freeErr != nil {
			refusal(t, freeErr)
			refusal(t, err)
			return
		}
		if again := encode(t, free); !bytes.Equal(again, b) && !moreThan(free, b) {
			t.Fatalf("re-encodes to other bytes\n%x\n%x", b, again)
		}
		if err == nil {
			if again := encode(t, m); !bytes.Equal(again, b) && !moreThan(m, b) {
				t.Fatal("re-encodes to other bytes, for a schema")
			}
		}
		fuzzInspect(t, seal(t, header(t, KindUpdate), b, nil))
	})
}

// FuzzZstd decompresses hostile frames, and compresses anything.
func FuzzZstd(f *testing.F) {
	seeds(f, func(v vector) []byte {
		if v.op == "zstd" {
			return v.data
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 64 << 10
		warm(t)
		var out []byte
		var err error
		allocBound(t, most, func() { out, err = decompress(b, most) })
		if err != nil {
			refusal(t, err)
		} else if len(out) > most {
			t.Fatalf("%d bytes, bound %d", len(out), most)
		}
		frame, err := zframe.Compress(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 {
			if out, err = decompress(frame, len(b)); err != nil || !bytes.Equal(out, b) {
				t.Fatalf("%d bytes come back as %d: %v", len(b), len(out), err)
			}
		}
	})
}

// warm makes the process's decoder, which is not the message's doing.
func warm(t *testing.T) {
	t.Helper()
	frame, err := zframe.Compress([]byte("fedmq"))
	if err == nil {
		_, err = zframe.Decompress(frame, 5)
	}
	if err != nil {
		t.Fatal(err)
	}
}
