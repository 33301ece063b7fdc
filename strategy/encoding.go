package strategy

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Encoding is one way in which the values of an update travel and are kept.
// What is checked and folded are the values that it decodes to.
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
	e, err := find("encoding", encoding, g.Encodings)
	if err != nil {
		return true
	}
	_, opaque := e.(Opaque)
	return opaque
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
	e, err := find("encoding", encoding, g.Encodings)
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
