package site

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

func mustNS(t *testing.T) topics.Namespace {
	t.Helper()
	ns, err := topics.New(testNS)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// wide is a model of n zeros.
func wide(t *testing.T, n int) *model.Model {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{n}})
	if err != nil {
		t.Fatal(err)
	}
	return model.New(s)
}

// sayAs welcomes the site in a task and orders it to train.
func sayAs(t *testing.T, h *hub, task string, base *model.Model) {
	t.Helper()
	o, err := mustNS(t).Owner("", task)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(hd wire.Header, m wire.Message) []byte {
		body, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		hd.Task, hd.Sender, hd.Epoch, hd.Origin = task, testNS, 1, testOrigin
		b, err := wire.Seal(hd, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	id, schema := base.ContentID(), base.Schema.Hash()
	h.say(o.Reply(testMember), false, seal(wire.Header{Kind: wire.KindReply, Topic: o.Reply(testMember)}, wire.Welcome{FromRound: 1, FromAttempt: 1}))
	h.say(o.Model(), true, seal(wire.Header{Kind: wire.KindModel, Topic: o.Model(), Base: id, Schema: schema, Encoding: wire.EncodingDense}, wire.Model{Tensors: base}))
	h.say(o.Order(), true, seal(wire.Header{Kind: wire.KindOrder, Round: 1, Attempt: 1, Topic: o.Order(), Base: id, Schema: schema}, wire.Order{
		Work: wire.WorkTrain, ValidFrom: 1, GridB: 6, GridW: 30, Cap: 1, Weights: "samples", Instance: wire.Nonce{1},
		SampleThreshold: wire.SampleAll, PartSize: wire.DefaultPart,
	}))
}

func TestDelta(t *testing.T) {
	t.Parallel()
	s, err := model.NewSchema(
		model.Spec{Name: "a", DType: model.F32, Shape: []int{2}},
		model.Spec{Name: "b", DType: model.F64, Shape: []int{1}},
		model.Spec{Name: "c", DType: model.I64, Shape: []int{1}, Rule: model.Max},
		model.Spec{Name: "k", DType: model.F32, Shape: []int{1}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	global, local := model.New(s), model.New(s)
	set := func(m *model.Model, a [2]float32, b float64, c byte, k float32) {
		if err := errors.Join(m.SetFloat32s("a", a[:]), m.SetFloat64s("b", []float64{b}), m.SetFloat32s("k", []float32{k})); err != nil {
			t.Fatal(err)
		}
		m.Bytes("c")[0] = c
	}
	set(global, [2]float32{1, 16777216}, 0.1, 3, 7)
	set(local, [2]float32{1.5, 16777217}, 0.3, 2, float32(math.NaN()))
	d, _, err := delta(local, global.Clone(), imprintOf(global))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := d.Float32s("a")
	b, _ := d.Float64s("b")
	x, y := 0.3, 0.1
	if !slices.Equal(a, []float32{0.5, 0}) || b[0] != x-y || d.Bytes("c")[0] != 255 || d.Bytes("c")[7] != 255 || d.Bytes("k") != nil {
		t.Errorf("a %v, b %v, c %v", a, b, d.Bytes("c"))
	}
	set(local, [2]float32{1, float32(math.Inf(1))}, 0.3, 2, 0)
	if _, _, err := delta(local, global, imprintOf(global)); !errors.Is(err, errNotFinite) {
		t.Errorf("infinity: %v", err)
	}
	if _, _, err := delta(wide(t, 3), global, imprintOf(global)); err == nil {
		t.Error("another schema passed")
	}
}

// Against a naive twin: tensors that are kept lie anywhere, so that the
// difference moves to the front while it is taken.
func TestDeltaInPlace(t *testing.T) {
	t.Parallel()
	for seed := range uint64(220) {
		r := rand.New(rand.NewPCG(seed, 1))
		most := 11
		if seed >= 200 {
			most = 3 * blockBytes / 8 // in several blocks
		}
		var specs []model.Spec
		for i := range 1 + r.IntN(8) {
			spec := model.Spec{Name: string(rune('a' + i)), DType: []model.DType{model.F32, model.F64, model.I64}[r.IntN(3)], Shape: []int{r.IntN(most)}}
			spec.Rule = []model.Rule{model.Mean, model.Keep}[r.IntN(2)]
			if spec.DType == model.I64 && spec.Rule == model.Mean {
				spec.Rule = model.Max
			}
			specs = append(specs, spec)
		}
		s, err := model.NewSchema(specs...)
		if err != nil {
			t.Fatal(err)
		}
		local, global := model.New(s), model.New(s)
		for _, m := range []*model.Model{local, global} {
			for i := range m.Blob {
				m.Blob[i] = byte(r.IntN(120)) // finite, whatever the type
			}
		}
		if r.IntN(4) == 0 {
			local = global // returned as it came
		}
		want := model.New(s.Shared())
		for _, spec := range want.Schema {
			if err := subtract(spec, 0, want.Bytes(spec.Name), local.Bytes(spec.Name), global.Bytes(spec.Name)); err != nil {
				t.Fatal(err)
			}
		}
		got, leaves, err := delta(local, global, imprintOf(global))
		if err != nil || !got.Schema.Equal(want.Schema) || !bytes.Equal(got.Blob, want.Blob) {
			t.Fatalf("seed %d: %v\n%.100x\n%.100x, %v", seed, s, got.Blob, want.Blob, err)
		}
		if large := len(want.Blob) >= leavesFrom; (leaves != nil) != large || large && !bytes.Equal(leaves, model.LeavesOf(want.Blob)) {
			t.Fatalf("seed %d: %v: %d leaves of %d bytes", seed, s, leaves.Count(), len(want.Blob))
		}
	}
}

// A trainer that changes what it was given is found, whatever it changes and whatever
// else is wrong; a value that is not finite is named, in whatever block it is.
func TestDeltaFindsFaults(t *testing.T) {
	t.Parallel()
	s, err := model.NewSchema(
		model.Spec{Name: "a", DType: model.F32, Shape: []int{blockBytes/4 + 3}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{blockBytes/8 + 5}},
		model.Spec{Name: "k", DType: model.F32, Shape: []int{3}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	was := model.New(s)
	for i := range was.Blob {
		was.Blob[i] = byte(i * 7 % 97)
	}
	for _, at := range []int{0, blockBytes - 1, blockBytes + 4, len(was.Blob) - 1} {
		changed, local := was.Clone(), was.Clone()
		changed.Blob[at] ^= 1
		_ = local.SetFloat32s("a", append(make([]float32, blockBytes/4+2), float32(math.NaN())))
		if _, _, err := delta(local, changed, imprintOf(was)); !errors.Is(err, errChanged) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	swapped := was.Clone() // two blocks change places
	copy(swapped.Blob[blockBytes+16:2*blockBytes+16], was.Blob[16:blockBytes+16])
	copy(swapped.Blob[16:], was.Blob[blockBytes+16:2*blockBytes+16])
	if _, _, err := delta(was.Clone(), swapped, imprintOf(was)); !errors.Is(err, errChanged) {
		t.Errorf("swapped: %v", err)
	}
	for name, i := range map[string]int{"a": blockBytes/4 + 1, "b": blockBytes/8 + 2} {
		local := was.Clone()
		b := local.Bytes(name)
		if name == "a" {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(math.Inf(1))))
		} else {
			binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(math.NaN()))
		}
		if _, _, err := delta(local, was.Clone(), imprintOf(was)); !errors.Is(err, errNotFinite) || !strings.Contains(err.Error(), fmt.Sprintf("tensor %s: value [%d] is", name, i)) {
			t.Errorf("value %d of %s: %v", i, name, err)
		}
	}
}

// Four at a time are as one by one, and the first that is not finite is named.
func TestSubtractF32(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for n := range 40 {
		spec := model.Spec{Name: "w", DType: model.F32, Shape: []int{n}}
		a, b := make([]byte, 4*n), make([]byte, 4*n)
		for i := range a {
			a[i], b[i] = byte(r.IntN(120)), byte(r.IntN(120))
		}
		got, want := make([]byte, 4*n), make([]byte, 4*n)
		for i := 0; i < 4*n; i += 4 {
			binary.LittleEndian.PutUint32(want[i:], math.Float32bits(f32(a[i:])-f32(b[i:])))
		}
		if err := subtractF32(spec, 0, got, a, b); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d elements: % x, want % x, %v", n, got, want, err)
		}
		for i := range n {
			bad := bytes.Clone(a)
			binary.LittleEndian.PutUint32(bad[4*i:], math.Float32bits([]float32{float32(math.NaN()), float32(math.Inf(-1))}[i%2]))
			if err := subtractF32(spec, 0, got, bad, b); !errors.Is(err, errNotFinite) || !strings.Contains(err.Error(), fmt.Sprintf("value %v is", spec.Place(i))) {
				t.Fatalf("element %d of %d: %v", i, n, err)
			}
		}
	}
}

func TestCheckStatistics(t *testing.T) {
	t.Parallel()
	make3 := func(d model.DType, n, m int) *model.Model {
		s, err := model.NewSchema(model.Spec{Name: "n", DType: d, Shape: []int{n}},
			model.Spec{Name: "mean", DType: model.F64, Shape: []int{m}}, model.Spec{Name: "m2", DType: model.F64, Shape: []int{n}})
		if err != nil {
			t.Fatal(err)
		}
		return model.New(s)
	}
	if err := checkStatistics(make3(model.F64, 2, 2)); err != nil {
		t.Error(err)
	}
	negative := make3(model.F64, 1, 1)
	_ = negative.SetFloat64s("n", []float64{-1})
	nan := make3(model.F64, 1, 1)
	_ = nan.SetFloat64s("mean", []float64{math.NaN()})
	for i, m := range []*model.Model{nil, wide(t, 2), make3(model.F32, 2, 2), make3(model.F64, 2, 3), negative, nan, {Schema: make3(model.F64, 2, 2).Schema}} {
		if checkStatistics(m) == nil {
			t.Errorf("case %d passed", i)
		}
	}
}
