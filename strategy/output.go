package strategy

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// block is how many coordinates are worked on at a time: what is made for them
// stays in the nearest memory.
const block = 1024

// Output takes what a fold finishes with.
type Output struct {
	// Next is the next model, a copy of the base until something is written.
	Next *model.Model

	notes []string

	shared    model.Schema // of the mean
	elements  int          // of shared
	starts    []int        // first coordinate of each tensor of shared
	offsets   []int        // of each in Next
	optimiser Optimiser
	label     string // of its part of the state
	step      uint64 // from 1
	state     []byte // the optimiser's part; nil for one without
	kept      []byte // the values in it, by slot and coordinate
	carry     []byte // the strategy's
}

// Note says something to people, in the round's record: at most 16 texts of 256 bytes.
// Like the model, notes are the same whoever folds.
func (o *Output) Note(format string, args ...any) {
	text := strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd")
	for len(text) > maxNote {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	if text != "" && len(o.notes) < maxNotes {
		o.notes = append(o.notes, text)
	}
}

// maxNotes and maxNote are what a record takes (RC-4).
const (
	maxNotes = 16
	maxNote  = 256
)

// Carry says what the strategy gets as Carried in the next round of training, and
// its Thresholds rest on: nothing for none. Without a call it stays as it is.
func (o *Output) Carry(b []byte) { o.carry = b }

// along prepares for a mean over the tensors of shared.
func (o *Output) along(shared model.Schema, opt Optimiser, s Setup) (err error) {
	o.shared, o.optimiser = shared, opt
	if o.label, err = stateName(opt.Name(), s.ServerParams); err != nil {
		return err
	}
	base, n := o.Next.Schema, 0
	for _, spec := range shared {
		i := base.Index(spec.Name)
		if i < 0 || !(model.Schema{spec}).Equal(model.Schema{base[i]}) {
			return fmt.Errorf("%w: the fold's schema has the tensor %.80q, and the base none that is the same", model.ErrSchema, spec.Name)
		}
		o.starts, o.offsets = append(o.starts, n), append(o.offsets, base.Offset(i))
		n += spec.Elements()
	}
	o.elements = n
	return o.begin(s.State, n)
}

// Mean takes the mean update of the coordinates from at on, counted over all
// tensors of the fold's schema in its order. The optimiser goes a step along it.
// Blocks come in any order, each coordinate once; those that do not come stay as
// they are. It may be called from several goroutines. Coordinates that the schema does
// not have are a panic.
func (o *Output) Mean(at int, mean []float64) {
	if n := o.elements; at < 0 || at > n || len(mean) > n-at {
		panic(fmt.Sprintf("strategy: a mean of %d coordinates from %d on, the fold's schema has %d", len(mean), at, n))
	}
	x, slots := make([]float64, min(block, len(mean))), o.scratch(min(block, len(mean)))
	i := sort.Search(len(o.starts), func(i int) bool { return o.starts[i] > at }) - 1
	for len(mean) > 0 {
		first, spec := at-o.starts[i], o.shared[i]
		n := min(spec.Elements()-first, len(mean), block)
		if n <= 0 {
			i++ // a tensor may have no elements
			continue
		}
		b := o.Next.Blob[o.offsets[i]+first*spec.DType.Size():]
		fold.Values(x[:n], b, spec.DType)
		o.read(slots, at, n)
		o.optimiser.Step(x[:n], mean[:n], o.step, slots)
		o.write(slots, at)
		fold.PutValues(b, spec.DType, x[:n])
		at, mean = at+n, mean[n:]
	}
}

func (o *Output) scratch(n int) [][]float64 {
	slots := make([][]float64, o.optimiser.Slots())
	for k := range slots {
		slots[k] = make([]float64, 0, n)
	}
	return slots
}

func (o *Output) read(slots [][]float64, at, n int) {
	for k := range slots {
		slots[k] = slots[k][:n]
		fold.Values(slots[k], o.slot(k, at), model.F64)
	}
}

func (o *Output) write(slots [][]float64, at int) {
	for k := range slots {
		fold.PutValues(o.slot(k, at), model.F64, slots[k])
	}
}

// check reports a model or a state that no round can begin with (F-12).
func (o *Output) check(base model.Schema) error {
	if o.Next == nil || !o.Next.Schema.Equal(base) {
		return fmt.Errorf("%w: the next model has other tensors than the base", model.ErrSchema)
	}
	if err := o.Next.Check(); err != nil {
		return fmt.Errorf("the next model: %w", err)
	}
	for i, spec := range o.shared {
		if err := averaged(spec, o.Next.Blob[o.offsets[i]:][:spec.Bytes()]); err != nil {
			return fmt.Errorf("the next model overflows: %w", err)
		}
	}
	if err := fold.FirstNotFinite(o.kept, model.F64); err != nil {
		return fmt.Errorf("the state of %s overflows: %w", o.optimiser.Name(), err)
	}
	return nil
}
