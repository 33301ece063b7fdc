package exec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number is a metric as programs write it: null is none, and what is beyond a
// float64 is infinite.
type number float64

// UnmarshalJSON reads a number or null.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = number(math.NaN())
		return nil
	}
	var digits json.Number
	if err := json.Unmarshal(b, &digits); err != nil || b[0] == '"' {
		return fmt.Errorf("metrics: %.60s is no number", b)
	}
	v, err := strconv.ParseFloat(digits.String(), 64)
	*n = number(v)
	if math.IsInf(v, 0) {
		return nil
	}
	return err
}

// MarshalJSON writes null for what is not finite.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// finite returns a line with null for the words that programs write for numbers
// that are not finite, which JSON has no word for: Python's json NaN and
// Infinity, C's nan and inf. A line that is JSON is returned as it is.
func finite(line []byte) []byte {
	if json.Valid(line) {
		return line
	}
	out := make([]byte, 0, len(line))
	quoted := false
	for rest := line; len(rest) > 0; {
		n := 1
		switch c := rest[0]; {
		case quoted && c == '\\' && len(rest) > 1:
			n = 2
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '-' || letter(c)):
			for n < len(rest) && letter(rest[n]) {
				n++
			}
			if word := strings.ToLower(string(bytes.TrimPrefix(rest[:n], []byte("-")))); word == "nan" || word == "inf" || word == "infinity" {
				out, rest = append(out, "null"...), rest[n:]
				continue
			}
		}
		out, rest = append(out, rest[:n]...), rest[n:]
	}
	return out
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
