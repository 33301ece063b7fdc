package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Number is a float64 that JSON can always carry: NaN and infinities are null,
// and null reads as NaN (RC-4).
type Number float64

// MarshalJSON writes the shortest digits that read back, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// MarshalJSON sorts the names and writes numbers as [Number] does.
func (v Values) MarshalJSON() ([]byte, error) {
	out := make(map[string]Number, len(v))
	for name, x := range v {
		out[name] = Number(x)
	}
	return compact(out)
}

// UnmarshalJSON reads at most [MaxMetrics] values.
func (v *Values) UnmarshalJSON(b []byte) error {
	*v = Values{}
	return members(b, func(name string, dec *json.Decoder) error {
		var x Number
		err := dec.Decode(&x)
		(*v)[name] = float64(x)
		return err
	})
}

// UnmarshalJSON reads at most [MaxMetrics] numbers and texts.
func (s *Settings) UnmarshalJSON(b []byte) error {
	*s = Settings{}
	return members(b, func(name string, dec *json.Decoder) error {
		var x any
		err := dec.Decode(&x)
		(*s)[name] = x
		return err
	})
}

// check reports settings that none of a strategy can be.
func (s Settings) check() error {
	if s != nil && (len(s) == 0 || len(s) > MaxMetrics) {
		return fmt.Errorf("%d parameters", len(s))
	}
	if name, ok := first(s, func(name string, v any) bool {
		switch x := v.(type) {
		case float64:
			return !text(name, 1, maxMetric) || math.IsNaN(x) || math.IsInf(x, 0)
		case string:
			return !text(name, 1, maxMetric) || !text(x, 0, maxText)
		}
		return true
	}); ok {
		return fmt.Errorf("parameter %.64q is %.64v", name, s[name])
	}
	return nil
}

// MarshalJSON writes {} for none.
func (m Metrics) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	return compact(map[string]Metric(m))
}

// UnmarshalJSON reads at most [MaxMetrics] metrics.
func (m *Metrics) UnmarshalJSON(b []byte) error {
	*m = Metrics{}
	return members(b, func(name string, dec *json.Decoder) error {
		var x Metric
		err := dec.Decode(&x)
		(*m)[name] = x
		return err
	})
}

// MarshalJSON writes [] for none.
func (e Entries) MarshalJSON() ([]byte, error) {
	if e == nil {
		return []byte("[]"), nil
	}
	return compact([]Entry(e))
}

// UnmarshalJSON reads at most [MaxEntries] entries: an entry takes a hundred
// times the bytes of the shortest JSON that asks for one.
func (e *Entries) UnmarshalJSON(b []byte) (err error) {
	*e, err = list[Entry](b, MaxEntries, "entries")
	return err
}

// list reads the items of one array.
func list[T any](b []byte, most int, what string) ([]T, error) {
	dec, err := open(b, '[')
	if err != nil {
		return nil, err
	}
	items := []T{}
	for dec.More() {
		if len(items) == most {
			return nil, fmt.Errorf("more than %d %s", most, what)
		}
		var x T
		if err := dec.Decode(&x); err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return items, nil
}

// members calls fn with the decoder before each value of one object.
func members(b []byte, fn func(name string, dec *json.Decoder) error) error {
	dec, err := open(b, '{')
	if err != nil {
		return err
	}
	for n := 0; dec.More(); n++ {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok || n == MaxMetrics {
			return fmt.Errorf("more than %d metrics", MaxMetrics)
		}
		if err := fn(name, dec); err != nil {
			return err
		}
	}
	return nil
}

// open returns a decoder behind the delimiter that starts b.
func open(b []byte, want json.Delim) (*json.Decoder, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if t != want {
		return nil, fmt.Errorf("%v instead of %v", t, want)
	}
	return dec, nil
}

// compact writes JSON without spaces and without escapes for HTML.
func compact(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// strict reads one JSON document into v, refusing unknown members and anything
// behind it. What it forgives, as names in another case, the caller finds by
// encoding v again.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("text after the document")
	}
	return nil
}
