package aggregator

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// spy is FedAvg that notes the updates it is shown.
type spy struct{ checked, added, parts *[]strategy.Update }

func newSpy() spy { return spy{new([]strategy.Update), new([]strategy.Update), new([]strategy.Update)} }

func (spy) Name() string { return "spy" }

func (s spy) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	f, err := strategy.Linear{}.Begin(r, nil)
	return spyFold{f, s}, err
}

type spyFold struct {
	strategy.Fold
	spy
}

func (f spyFold) CheckPart(u strategy.Update, part []byte, off int) error {
	*f.parts = append(*f.parts, u)
	return f.Fold.CheckPart(u, part, off)
}

func (f spyFold) Check(u strategy.Update) error {
	*f.checked = append(*f.checked, u)
	return f.Fold.Check(u)
}

func (f spyFold) Add(u strategy.Update) {
	*f.added = append(*f.added, u)
	f.Fold.Add(u)
}

// sumOf begins a sum on a base, with a store of its own.
func sumOf(t *testing.T, r strategy.Registry, name string, base *model.Model, p round.Params) *sum {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newSum(r, st, func(st *store.Stage) {
		if st != nil {
			if err := st.Release(); err != nil {
				t.Error(err)
			}
		}
	})
	p.Strategy = name
	if err := s.begin(base, p, 0); err != nil {
		t.Fatal(err)
	}
	return s
}

func vector(t *testing.T, w ...float32) *model.Model {
	t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{len(w)}})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(schema)
	if err := m.SetFloat32s("w", w); err != nil {
		t.Fatal(err)
	}
	return m
}

// take judges an update as the machine does, with the weight of its samples.
func (s *sum) take(t *testing.T, member string, st *staged) {
	t.Helper()
	if f, err := s.check(st); f.problem != verdict.None || err != nil {
		t.Fatalf("%s: %v %v", member, f, err)
	}
	s.hold(member, st)
	if err := s.add(owner.Fold{Key: owner.Key{Member: member, Content: st.content}, Weight: s.params.Weights.Weigh(st.samples, s.params.Cap)}, s.store.NewStaging(8, nil)); err != nil {
		t.Fatal(err)
	}
}

// What an update is checked as, in parts and as a whole, is what is added: with
// the weight that the machine gives it, under every weighting and its cap.
func TestCheckAndAddAgree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		weights round.Weights
		limit   uint64
		want    []uint64 // of 100 and 10,000 samples
	}{
		{round.WeightSamples, 5000, []uint64{100, 5000}},
		{round.WeightSqrt, 5000, []uint64{10, 100}},
		{round.WeightSqrt, 50, []uint64{10, 50}},
		{round.WeightUniform, 1, []uint64{1, 1}},
	} {
		sp := newSpy()
		s := sumOf(t, strategy.Registry{Strategies: []strategy.Strategy{sp}}, "spy", vector(t, 0),
			round.Params{Work: strategy.Train, Weights: c.weights, Cap: c.limit, GridB: 6, GridW: 20})
		for i, samples := range []uint64{100, 10000} {
			m := vector(t, float32(i+1))
			if problem, detail := s.checkPart(&staged{samples: samples}, m.Blob, 0); problem != verdict.None {
				t.Errorf("%v %s", problem, detail)
			}
			s.take(t, string(rune('a'+i)), &staged{content: m.ContentID(), samples: samples, raw: m.Blob, delta: m})
		}
		var weights []uint64
		for _, u := range *sp.added {
			weights = append(weights, u.Weight)
		}
		if !slices.Equal(weights, c.want) || !reflect.DeepEqual(*sp.checked, *sp.added) {
			t.Errorf("%s, cap %d: weights %v, want %v; checked %v, added %v", c.weights, c.limit, weights, c.want, *sp.checked, *sp.added)
		}
		for i, u := range *sp.parts {
			if added := (*sp.added)[i]; u.Samples != added.Samples || u.Weight != added.Weight || u.Tensors != nil {
				t.Errorf("%s: a part was checked as %v, added as %v", c.weights, u, added)
			}
		}
	}
}

// An update that the machine weighs otherwise than it was checked is not added.
func TestOtherWeight(t *testing.T) {
	t.Parallel()
	s := sumOf(t, strategy.Registry{}, "fedavg", vector(t, 0), round.Params{Work: strategy.Train, Weights: round.WeightSamples, Cap: 9, GridB: 6, GridW: 10})
	m := vector(t, 1)
	st := &staged{content: m.ContentID(), samples: 5, raw: m.Blob, delta: m}
	if _, err := s.check(st); err != nil {
		t.Fatal(err)
	}
	s.hold("a", st)
	if err := s.add(owner.Fold{Key: owner.Key{Member: "a", Content: st.content}, Weight: 4}, nil); err == nil || len(s.in) != 0 {
		t.Errorf("%v, %d in the sum", err, len(s.in))
	}
}

// quarters is an encoding of one byte a value.
type quarters struct{}

func (quarters) Name() string { return "quarters" }

func (quarters) Decode(dst, src []byte, s model.Schema) error {
	if len(src) != s.Elements() {
		return errors.New("want one byte a value")
	}
	w := make([]float32, len(src))
	for i, b := range src {
		w[i] = float32(b) / 4
	}
	m := &model.Model{Schema: s, Blob: dst}
	return m.SetFloat32s(s[0].Name, w)
}

// Bytes that travel in another encoding are staged, named and kept as they came,
// and checked and folded as the values that they stand for.
func TestStagedEncoding(t *testing.T) {
	t.Parallel()
	s := sumOf(t, strategy.Registry{Encodings: []strategy.Encoding{quarters{}}}, "fedavg", vector(t, 1, 1),
		round.Params{Work: strategy.Train, Weights: round.WeightUniform, Cap: 1, GridB: 5, GridW: 10})
	staging := s.store.NewStaging(1<<10, nil)
	stage := func(raw ...byte) *staged {
		st := &staged{content: model.ContentOf(raw), encoding: "quarters", samples: 3}
		st.stage = staging.Stage(len(raw))
		if err := st.stage.WriteAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		return st
	}
	for i, raw := range [][]byte{{4, 8}, {12, 0}} {
		st := stage(raw...)
		if err := s.borrow(st, s.fold.Schema()); err != nil || model.ContentOf(st.raw) != st.content {
			t.Fatal(err)
		}
		s.take(t, string(rune('a'+i)), st)
	}
	bad := stage(255, 0)
	if err := s.borrow(bad, s.fold.Schema()); err != nil {
		t.Fatal(err)
	}
	if f, err := s.check(bad); f.problem != verdict.OutOfRange || err != nil {
		t.Errorf("63.75 on a grid to 32: %v %v", f, err)
	}
	if err := s.borrow(stage(1, 2, 3), s.fold.Schema()); !errors.Is(err, model.ErrSchema) {
		t.Errorf("a byte too many: %v", err)
	}
	r, err := s.finish(nil, nil)
	if err != nil || r.Model.ContentID() != vector(t, 3, 2).ContentID() {
		t.Errorf("%v, %v", r.Model, err)
	}
}

// A fold that needs all updates at its end reads them wherever they lie: staged, on disk;
// those that came in one message or are encoded are staged then.
func TestReadAtTheEnd(t *testing.T) {
	t.Parallel()
	s := sumOf(t, strategy.Registry{Strategies: []strategy.Strategy{largest{}}, Encodings: []strategy.Encoding{quarters{}}}, "largest", vector(t, 0, 0, 0, 0),
		round.Params{Work: strategy.Train, Weights: round.WeightUniform, Cap: 1, GridB: 6, GridW: 10})
	staging := s.store.NewStaging(16, nil) // the second is in a file
	var accepted []round.Accepted
	for i, w := range []*model.Model{vector(t, 9, 1, 1, 1), vector(t, 1, 9, 1, 1), vector(t, 1, 1, 9, 1), vector(t, 1, 1, 1, 9)} {
		st := &staged{content: w.ContentID(), samples: 1, raw: w.Blob, delta: w}
		switch i {
		case 1:
			if err := s.store.PutBlob(st.content, w.Blob, false); err != nil {
				t.Fatal(err)
			}
		case 3:
			st.raw, st.encoding = []byte{4, 4, 4, 36}, "quarters"
			st.content = model.ContentOf(st.raw)
			fallthrough
		case 2:
			st.stage = staging.Stage(len(st.raw))
			if err := st.stage.WriteAt(st.raw, 0); err != nil {
				t.Fatal(err)
			}
		}
		if i > 0 {
			if err := s.borrow(st, s.fold.Schema()); err != nil {
				t.Fatal(err)
			}
		}
		member := string(rune('a' + i))
		s.take(t, member, st)
		accepted = append(accepted, round.Accepted{Member: member, Content: st.content})
	}
	for member, st := range s.in {
		if st.raw != nil || st.delta != nil {
			t.Errorf("%s is in memory as a whole", member)
		}
	}
	r, err := s.finish(accepted, nil)
	if err != nil || r.Model.ContentID() != vector(t, 9, 9, 9, 9).ContentID() {
		t.Errorf("%v, %v", r.Model, err)
	}
	for _, st := range s.in {
		s.letGo(st)
	}
	if s.forget(); len(s.in) != 0 || s.fold != nil {
		t.Error("not empty")
	}
}

// largest takes the largest value of all updates, for each coordinate.
type largest struct{}

func (largest) Name() string { return "largest" }

func (largest) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	v, err := strategy.NewValues(r)
	return largestFold{v}, err
}

type largestFold struct{ *strategy.Values }

func (largestFold) Add(strategy.Update) {}

func (largestFold) NeedsAll() bool { return true }

func (largestFold) Finish(all *strategy.Updates, out *strategy.Output) error {
	return all.Blocks(func(at int, values [][]float64) error {
		most := slices.Clone(values[0])
		for _, v := range values[1:] {
			for j := range v {
				most[j] = math.Max(most[j], v[j])
			}
		}
		out.Mean(at, most)
		return nil
	})
}

// A place is filled with zeros, and with
// what came of an earlier offer of the same member. What is not there is left out
// (TR-72, TR-73).
func TestStageFill(t *testing.T) {
	t.Parallel()
	s := sumOf(t, strategy.Registry{}, "fedavg", vector(t, 1, 1), round.Params{Work: strategy.Train, Weights: round.WeightUniform, Cap: 1, GridB: 5, GridW: 10})
	staging := s.store.NewStaging(8, nil)
	key := func(member string, n byte) owner.Key { return owner.Key{Member: member, Content: model.Hash{n}} }
	for _, k := range []owner.Key{key("a", 1), key("a", 2), key("b", 3)} {
		s.held[k] = &staged{content: k.Content, length: 8}
	}
	place := func(o owner.Stage, want ...byte) {
		t.Helper()
		if err := s.stage(o, staging); err != nil {
			t.Fatal(err)
		}
		if got, err := s.held[o.Key].stage.Read(nil); err != nil || !bytes.Equal(got[:len(want)], want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	place(owner.Stage{Key: key("a", 1)})
	if err := s.held[key("a", 1)].stage.WriteAt([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 0); err != nil {
		t.Fatal(err)
	}
	fill := []transfer.Same{{From: transfer.Zeros, To: 4, N: 4}, {From: 1, To: 0, N: 4}}
	place(owner.Stage{Key: key("a", 2), From: model.Hash{1}, Fill: fill}, 2, 3, 4, 5, 0, 0, 0, 0)
	s.unstage(key("a", 1))
	place(owner.Stage{Key: key("b", 3), From: model.Hash{2}, Fill: fill}, 0, 0, 0, 0, 0, 0, 0, 0) // nothing was put at the beginning
	if !s.held[key("b", 3)].torn || s.held[key("a", 2)].torn {
		t.Error("want what misses something torn, and nothing else")
	}
}
