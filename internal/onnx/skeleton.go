package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// field is one field of a message: its bytes with the tag, and the value of one
// that has a length.
type field struct {
	number protowire.Number
	kind   protowire.Type
	whole  []byte
	value  []byte
}

// fields cuts a message.
func fields(b []byte) ([]field, error) {
	var out []field
	for len(b) > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil, fmt.Errorf("%w: %w", ErrSkeleton, protowire.ParseError(tag))
		}
		size := protowire.ConsumeFieldValue(number, kind, b[tag:])
		if size < 0 {
			return nil, fmt.Errorf("%w: %w", ErrSkeleton, protowire.ParseError(size))
		}
		f := field{number: number, kind: kind, whole: b[:tag+size]}
		if kind == protowire.BytesType {
			f.value, _ = protowire.ConsumeBytes(b[tag:])
		}
		out, b = append(out, f), b[tag+size:]
	}
	return out, nil
}

// text is the first field of that number.
func text(all []field, number protowire.Number) string {
	for _, f := range all {
		if f.number == number && f.kind == protowire.BytesType {
			return string(f.value)
		}
	}
	return ""
}

// Fill returns the graph skeleton with the tensors of m in place of the
// initializers of the same names, and the metadata of the contract. Counters (I64
// scalars, such as those of batch normalisation) that the graph does not have are
// returned in left. Every other tensor must be in the graph, and no number of the
// graph may lie in another file.
func Fill(skeleton []byte, c *pipeline.Contract, m *model.Model, about string) (out []byte, left []string, err error) {
	top, err := fields(skeleton)
	if err != nil {
		return nil, nil, err
	}
	f := filler{m: m, done: map[string]bool{}}
	var b msg
	graphs := 0
	for _, x := range top {
		switch {
		case x.number == modelGraph && x.kind == protowire.BytesType:
			graphs++
			g, err := f.graph(x.value)
			if err != nil {
				return nil, nil, err
			}
			b.bytes(modelGraph, g)
		case x.number == modelMetadata && x.kind == protowire.BytesType && ours(x.value):
		default:
			b = append(b, x.whole...)
		}
	}
	if graphs != 1 {
		return nil, nil, fmt.Errorf("%w: it is no ONNX file: %d graphs, want 1", ErrSkeleton, graphs)
	}
	if left, err = f.left(); err != nil {
		return nil, nil, err
	}
	for _, p := range props(c, about) {
		b.bytes(modelMetadata, metadata(p[0], p[1]))
	}
	return b, left, nil
}

// ours reports that an entry of the metadata is one that Fill writes.
func ours(entry []byte) bool {
	e, err := fields(entry)
	key := text(e, 1)
	return err == nil && (key == MetaContract || key == MetaAbout)
}

// filler replaces initializers.
type filler struct {
	m    *model.Model
	done map[string]bool
	seen []string // names of initializers that stay
}

func (f *filler) graph(b []byte) (msg, error) {
	all, err := fields(b)
	if err != nil {
		return nil, err
	}
	var out msg
	for _, x := range all {
		if x.number != graphInitializer || x.kind != protowire.BytesType {
			out = append(out, x.whole...)
			continue
		}
		t, err := f.initializer(x)
		if err != nil {
			return nil, err
		}
		out = append(out, t...)
	}
	return out, nil
}

func (f *filler) initializer(x field) (msg, error) {
	t, err := fields(x.value)
	if err != nil {
		return nil, err
	}
	name := text(t, tensorName)
	i := f.m.Schema.Index(name)
	if i < 0 {
		if slices.ContainsFunc(t, func(x field) bool { return x.number == tensorExternal }) {
			return nil, fmt.Errorf("%w: the values of %q lie in another file: want all in one, as torch.onnx.export(..., external_data=False) writes them", ErrSkeleton, name)
		}
		f.seen = append(f.seen, name)
		return x.whole, nil
	}
	kind, dims, err := shapeOf(t)
	if err != nil {
		return nil, err
	}
	s := f.m.Schema[i]
	if kind != kinds[s.DType] || !slices.Equal(dims, s.Shape) {
		return nil, fmt.Errorf("%w: %q is %v of ONNX type %d there, and %v%v (type %d) in the model: want the graph of the same network", ErrSkeleton, name, dims, kind, s.DType, s.Shape, kinds[s.DType])
	}
	f.done[name] = true
	var out msg
	out.bytes(graphInitializer, tensor(name, kind, dims, f.m.Bytes(name)))
	return out, nil
}

// shapeOf reads type and dimensions of a TensorProto; dimensions may be packed.
func shapeOf(t []field) (kind int64, dims []int, err error) {
	dims = []int{}
	for _, x := range t {
		_, _, tag := protowire.ConsumeTag(x.whole)
		b := x.whole[tag:]
		switch {
		case x.number == tensorType && x.kind == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			kind = int64(v)
		case x.number == tensorDims && x.kind == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			dims = append(dims, int(v))
		case x.number == tensorDims && x.kind == protowire.BytesType:
			for b = x.value; len(b) > 0; {
				v, n := protowire.ConsumeVarint(b)
				if n < 0 {
					return 0, nil, fmt.Errorf("%w: %w", ErrSkeleton, protowire.ParseError(n))
				}
				dims, b = append(dims, int(v)), b[n:]
			}
		}
	}
	return kind, dims, nil
}

// left lists the counters that the graph does not have; any other tensor that it
// does not have is an error.
func (f *filler) left() (counters []string, err error) {
	for _, s := range f.m.Schema {
		switch {
		case f.done[s.Name], model.IsControl(s.Name): // a control variate says how the model came to be, not what it gives
		case s.DType == model.I64 && s.Elements() == 1:
			counters = append(counters, s.Name)
		default:
			return nil, fmt.Errorf("%w: no initializer %q; those without a tensor are %.300q. "+
				"Want a graph with the names of state_dict(): torch.onnx.export(net.eval(), ..., do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE), "+
				"of a net with weights as after fedmq_trainer.load(FILE, net), because it merges tensors that are equal", ErrSkeleton, s.Name, f.seen)
		}
	}
	return counters, nil
}
