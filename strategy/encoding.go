package strategy

import (
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/codec"
	"github.com/fedmq/fedmq/model"
)

// Encoding is one way in which the values of an update travel and are kept.
// What is checked and folded are the values that it decodes to. Those that fedmq brings
// are f16, bf16, q8 and topk, and zstd after any of them: docs/spec/encoding.md.
type Encoding interface {
	// Name is what order and record say.
	Name() string
	// Decode fills dst, of s.Bytes() bytes, with the dense values of src. It is a
	// function of the bytes alone. Errors say what is wrong with src.
	Decode(dst, src []byte, s model.Schema) error
}

// Opaque is an [Encoding] whose bytes are to tell nothing, as when they are sealed or
// masked: each part of such an update travels, also one that is known.
type Opaque interface {
	Encoding
	Opaque()
}

// Whole reports whether updates in an encoding travel whole: those of an [Opaque] one,
// and of one that is not known.
func (g Registry) Whole(encoding string) bool {
	if encoding == "" || encoding == Dense {
		return false
	}
	e, err := g.encoding(encoding)
	if err != nil {
		return true
	}
	_, opaque := e.(Opaque)
	return opaque
}

// CheckEncoding reports an encoding that a task cannot have with a fold: unknown, or
// one that sends some of the values alone where the fold compares the updates of sites,
// or wants them whole (docs/spec/encoding.md, E-6). Name is its one spelling; "" is that of [Dense].
func (g Registry) CheckEncoding(encoding string, a *Aggregation) (name string, err error) {
	if encoding == "" || encoding == Dense {
		return "", nil
	}
	if slices.Contains(namesOf(g.Encodings), encoding) {
		return encoding, nil
	}
	c, err := codec.Parse(encoding)
	if err != nil {
		return "", err
	}
	if c.Sparse() && a != nil && (a.NeedsAll() || a.Strategy() == "scaffold") {
		return "", fmt.Errorf("encoding %s does not go with the strategy %s, which wants all values of an update: what topk leaves out would count as 0. Another encoding such as q8, or another strategy", c, a.Strategy())
	}
	return c.String(), nil
}

// Lacks are the words of an encoding that are not among those by which a site has said
// what it can do; all of the name of one that is the program's.
func (g Registry) Lacks(encoding string, can []string) []string {
	if encoding == "" {
		return nil
	}
	if c, err := codec.Parse(encoding); err == nil {
		return c.Lacks(can)
	}
	if slices.Contains(can, encoding) {
		return nil
	}
	return []string{encoding}
}

// Answers reports whether an update in an encoding answers an order for another: in
// the same, with zstd or without, or dense.
func (g Registry) Answers(order, update string) bool {
	if update == "" || update == order {
		return true
	}
	o, err := codec.Parse(order)
	if err != nil {
		return false
	}
	u, err := codec.Parse(update)
	return err == nil && u.String() == update && o.Takes(u)
}

// foreign reports an encoding of the program whose name is one of fedmq's.
func (g Registry) foreign() error {
	for _, e := range g.Encodings {
		if _, err := codec.Parse(e.Name()); err == nil {
			return fmt.Errorf("strategy: two with the name %q: fedmq has an encoding that is written so", e.Name())
		}
	}
	return nil
}

// own is a [codec.Codec] as an [Encoding].
type own struct{ codec.Codec }

func (o own) Name() string { return o.String() }

// encoding finds what a name stands for: fedmq's in their one spelling, or the program's.
func (g Registry) encoding(name string) (Encoding, error) {
	c, err := codec.Parse(name)
	if err == nil && c.String() == name {
		return own{c}, nil
	}
	if i := slices.IndexFunc(g.Encodings, func(e Encoding) bool { return e.Name() == name }); i >= 0 {
		return g.Encodings[i], nil
	}
	if err == nil {
		err = fmt.Errorf("encoding %.64q, written as %s", name, c)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
}

// Decode returns the tensors of an update that travelled as raw bytes in an
// encoding; "" is [Dense], whose bytes are taken as they are. Other encodings
// decode into buf, if it is large enough. Errors wrap [ErrUnknown] or
// model.ErrSchema.
func (g Registry) Decode(encoding string, raw []byte, s model.Schema, buf []byte) (*model.Model, error) {
	if encoding == "" || encoding == Dense {
		if len(raw) != s.Bytes() {
			return nil, fmt.Errorf("%w: an update of %d bytes, want %d", model.ErrSchema, len(raw), s.Bytes())
		}
		return &model.Model{Schema: s, Blob: raw}, nil
	}
	e, err := g.encoding(encoding)
	if err != nil {
		return nil, err
	}
	if cap(buf) < s.Bytes() {
		buf = make([]byte, s.Bytes())
	}
	buf = buf[:s.Bytes()]
	if err := e.Decode(buf, raw, s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", model.ErrSchema, encoding, err)
	}
	return &model.Model{Schema: s, Blob: buf}, nil
}
