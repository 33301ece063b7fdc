package site

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/codec"
	"github.com/fedmq/fedmq/model"
)

// encode has the difference in the encoding that the order wants (E-5). Where that
// cannot be it stays as it is, dense, and a note says why.
func (r *result) encode(j job) error {
	if j.Encoding == "" {
		return nil
	}
	c, err := codec.Parse(j.Encoding)
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnknown, err)
	} else {
		err = r.encodeAs(c, j)
	}
	if errors.Is(err, codec.ErrRange) || errors.Is(err, codec.ErrLarger) || errors.Is(err, errUnknown) {
		r.note, err = fmt.Sprintf("the update travels dense, not as %s: %v", j.Encoding, err), nil
	}
	return err
}

// errUnknown means an encoding of a later version, or of a program's own.
var errUnknown = errors.New("this site does not know it")

func (r *result) encodeAs(c codec.Codec, j job) (err error) {
	r.zstd = c.Zstd
	f, e := j.left(), []byte(nil)
	if c.Feedback = c.Feedback && !f.waits(); c.Feedback {
		if r.basis = f.of(j.Round, r.tensors.Schema.Hash()); r.basis != (left{}) {
			if e, err = j.rest(r.basis.Rest); err != nil && !isGone(err) {
				return err
			} else if err != nil {
				r.note = fmt.Sprintf("what updates have left over cannot be read, and is 0: %v", err)
			}
		}
	}
	raw, as, rest, err := c.Encode(r.tensors, e)
	if err != nil {
		return err
	}
	r.tensors, r.leaves = &model.Model{Schema: r.tensors.Schema, Blob: raw}, nil
	r.encoding, r.rest = as.String(), rest
	return nil
}
