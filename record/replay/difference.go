package replay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// Difference is the first thing that is not as the records say. It marshals to
// JSON.
type Difference struct {
	Round    uint64         `json:"round"`
	Attempt  uint32         `json:"attempt"`
	Member   string         `json:"member,omitempty"`
	Tensor   string         `json:"tensor,omitempty"`
	Index    int            `json:"index,omitempty"`    // in Tensor, row-major
	Recorded *record.Number `json:"recorded,omitempty"` // value of the model that the record names
	Replayed *record.Number `json:"replayed,omitempty"` // value that the replay gives
	Problem  string         `json:"problem"`
}

// Error names the place and what is wrong there.
func (d *Difference) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "round %d, attempt %d", d.Round, d.Attempt)
	if d.Member != "" {
		b.WriteString(", member " + d.Member)
	}
	if d.Tensor != "" {
		fmt.Fprintf(&b, ", tensor %s[%d]", d.Tensor, d.Index)
	}
	return b.String() + ": " + d.Problem
}

// because returns a copy with its problem.
func (d Difference) because(format string, args ...any) *Difference {
	d.Problem = fmt.Sprintf(format, args...)
	return &d
}

// differ is a difference whose place the caller knows.
func differ(format string, args ...any) *Difference {
	return Difference{}.because(format, args...)
}

// ofMember puts a member's name to a difference; other errors stay.
func ofMember(err error, member string) error {
	if d, ok := err.(*Difference); ok { //nolint:errorlint // made here, never wrapped
		d.Member = member
	}
	return err
}

// tensorDifference finds the first value in which the replayed model is not the
// stored one.
func (p *Replay) tensorDifference(r record.Record, stored []byte, made *model.Model) *Difference {
	if stored == nil {
		return differ("the replay gives the model %s, another than the record names; its blob was not kept, so values cannot be compared", r.ContentOf(made.Blob))
	}
	had := &model.Model{Schema: made.Schema, Blob: stored}
	for _, spec := range made.Schema {
		a, b := had.Bytes(spec.Name), made.Bytes(spec.Name)
		if bytes.Equal(a, b) {
			continue
		}
		size, i := spec.DType.Size(), 0
		for bytes.Equal(a[i*size:(i+1)*size], b[i*size:(i+1)*size]) {
			i++
		}
		recorded, replayed := record.Number(spec.DType.Element(a[i*size:])), record.Number(spec.DType.Element(b[i*size:]))
		d := differ("recorded %v, replayed %v", recorded, replayed)
		d.Tensor, d.Index, d.Recorded, d.Replayed = spec.Name, i, &recorded, &replayed
		return d
	}
	return differ("the model's blob is what the replay gives, but not what the record names") // fetch has ruled it out
}
