package wire_test

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// A site sends an update; the aggregator opens it and decodes it.
func Example() {
	ns, _ := topics.New("acme")
	member, _ := ns.Member("berlin/line-1", "quality")
	schema, _ := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{2}})
	delta := model.New(schema)
	_ = delta.SetFloat32s("w", []float32{0.5, -1})

	body, err := wire.Encode(wire.Update{Samples: 120, Metrics: map[string]float64{"loss": 3.5}, Tensors: delta})
	if err != nil {
		panic(err)
	}
	payload, err := wire.Seal(wire.Header{
		Origin: wire.Nonce{7}, // as the order says
		Task:   "quality", Kind: wire.KindUpdate, Round: 7, Attempt: 1, Encoding: wire.EncodingDense,
		Sender: member.Node(), Topic: member.Update(), Schema: schema.Hash(),
	}, body, nil) // nil: this task does not sign
	if err != nil {
		panic(err)
	}

	opener := &wire.Opener{NS: ns}
	h, body, err := opener.Open(member.Update(), payload, wire.Bound{MaxRound: 8, MaxBody: wire.MaxUpdateBody(schema)})
	if err != nil {
		panic(err)
	}
	c, err := wire.DecodeUpdate(body, schema)
	if err != nil {
		panic(err)
	}
	switch c := c.(type) {
	case wire.Update:
		w, _ := c.Tensors.Float32s("w")
		fmt.Println(h.Sender, "round", h.Round, "samples", c.Samples, w)
	case wire.Decline:
		fmt.Println(h.Sender, "declines:", c.Reason)
	}
	// Output: acme/berlin/line-1 round 7 samples 120 [0.5 -1]
}

// What does not fit one message travels in parts: the receiver proves each of
// them by the blob that a signed offer or manifest described.
func ExampleBlob() {
	weights := make([]byte, 10_000)
	blob, err := wire.NewBlob(weights, wire.MinPart)
	if err != nil {
		panic(err)
	}
	off, n := blob.Span(2)
	payload := wire.AppendPart(nil, wire.Part{Blob: blob.Key(), Index: 2, Count: uint32(blob.Count()), Data: weights[off : off+n]})

	p, err := wire.DecodePart(payload, wire.MinPart)
	if err != nil {
		panic(err)
	}
	fmt.Println("part", p.Index, "of", p.Count, "at", off, "proven:", p.Blob == blob.Key() && blob.Holds(int(p.Index), p.Data))
	p.Data[0]++
	fmt.Println("changed on the way, proven:", blob.Holds(int(p.Index), p.Data))
	// Output:
	// part 2 of 3 at 8192 proven: true
	// changed on the way, proven: false
}

// A setting is checked before anything is sent.
func ExampleCheckParts() {
	schema, _ := model.NewSchema(model.Spec{Name: "w", Shape: []int{5_000_000}})
	fmt.Println(wire.CheckParts(schema, wire.DefaultPart))
	fmt.Println(wire.CheckParts(schema, wire.MinPart))
	// Output:
	// <nil>
	// wire: part_size: a model of 20000000 bytes and 1 tensors wants a larger one than 4160: 33280 will do
}

// A refusal says why, where, and what was wanted.
func ExampleRefusal() {
	bomb := []byte{0xdd, 0xff, 0xff, 0xff, 0xff} // five bytes that claim 4 billion items
	err := wire.Scan(bomb, wire.ScanLimits{})
	var r *wire.Refusal
	if errors.As(err, &r) {
		fmt.Println(r.Reason, r.Stage, r.Authenticated())
	}
	fmt.Println(err)
	// Output:
	// malformed 11 true
	// wire: malformed at step 11 (scan): body: a declared length is beyond the end, at byte 0 of 5
}

// Inspect shows a message to a person, however broken it is.
func ExampleInspect() {
	in, err := wire.Inspect([]byte("not a message"))
	fmt.Println(in.Format, in.Bytes)
	fmt.Println(err)
	// Output:
	// unknown 13
	// wire: malformed at step 2 (structure): envelope: fields: want an array, got an unsigned integer, at byte 0
}
