package wire

import (
	"cmp"
	"fmt"
	"math"
)

// Message is the body of one kind: [Order], [Model], [Manifest], [Join],
// [Update], [Offer], [Decline], [Need], or one of the replies.
type Message interface {
	// check reports a value that the format does not have.
	check() error
	// members are what it says beyond its fixed fields, by ascending names.
	members() []member
	appendTo(b []byte) []byte
}

// Encode returns the canonical bytes of a body (W-4). An error names the field
// that is out of its range: a bug of the caller or a setting that was not
// checked, since every receiver would refuse the message. Free text in details
// and agent names is made printable and cut to size instead.
func Encode(m Message) ([]byte, error) {
	if err := cmp.Or(m.check(), checkMembers(m.members())); err != nil {
		return nil, fmt.Errorf("wire: encode %T: %w", m, err)
	}
	return m.appendTo(nil), nil
}

// Bounds of single fields.
const (
	maxMS       = 1 << 40 // 34 years: a time.Duration holds it
	maxDetail   = 256
	maxAgent    = 64
	maxSettings = 16 << 10
	maxGrid     = 1023
)

func checkWord(field, s string) error {
	if !isWord(s) {
		return fmt.Errorf("%s: want a word of [a-z0-9_-]{1,64}, got %s", field, short(s))
	}
	return nil
}

func checkMS(field string, v uint64) error {
	if v > maxMS {
		return fmt.Errorf("%s: want at most %d, got %d", field, uint64(maxMS), v)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
