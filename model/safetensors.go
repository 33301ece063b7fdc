package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// Names in a safetensors header.
const (
	metadataKey = "__metadata__"
	rulesKey    = "fedmq.rules" // metadata: JSON object of the rules that are not "mean"
	maxHeader   = 1 << 20       // bytes
)

// ErrSafetensors is wrapped by every error about a file that is not an
// acceptable safetensors file.
var ErrSafetensors = errors.New("model: bad safetensors")

func badFile(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSafetensors}, args...)...)
}

// entry is one tensor of a file: where its bytes are among the data.
type entry struct {
	spec     Spec
	from, to int64
}

// ReadSafetensorsFile reads the file at path as [ReadSafetensors] does.
func ReadSafetensorsFile(path string, limit int64) (*Model, error) {
	f, err := os.Open(path) // the caller names the file
	if err != nil {
		return nil, err
	}
	m, err := ReadSafetensors(f, limit)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ReadSafetensors reads one model to the end of r. The header may have 1 MiB
// and the values limit bytes; more is refused before it is allocated. Tensors
// must lie side by side without gap or overlap and fill the file; types other
// than F16, BF16, F32, F64 and I64 are refused. Errors wrap [ErrSafetensors],
// [ErrSchema] or r's error.
//
// Format: https://huggingface.co/docs/safetensors
func ReadSafetensors(r io.Reader, limit int64) (*Model, error) {
	header, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	entries, rules, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	schema, err := layOut(entries, rules, limit)
	if err != nil {
		return nil, err
	}
	m := New(schema)
	for _, e := range entries {
		if _, err := io.ReadFull(r, m.Bytes(e.spec.Name)); err != nil {
			return nil, badFile("tensor %q: %w", e.spec.Name, err)
		}
	}
	var extra [1]byte
	switch _, err := io.ReadFull(r, extra[:]); {
	case errors.Is(err, io.EOF):
		return m, nil
	case err != nil:
		return nil, err
	}
	return nil, badFile("bytes after the last tensor")
}

func readHeader(r io.Reader) ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, badFile("size of the header: %w", err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n < 2 || n > maxHeader {
		return nil, badFile("a header of %d bytes, want 2 to %d", n, maxHeader)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, badFile("header: %w", err)
	}
	if header[0] != '{' {
		return nil, badFile("the header does not start with '{'")
	}
	return header, nil
}

// parseHeader returns the tensors and the rules kept in the metadata.
func parseHeader(header []byte) ([]entry, map[string]Rule, error) {
	var entries []entry
	rules := map[string]Rule{}
	err := eachMember(header, func(key string, raw json.RawMessage) error {
		if key == metadataKey {
			return parseMetadata(raw, rules)
		}
		e, err := parseEntry(key, raw)
		if err == nil && len(entries) == MaxTensors {
			err = badFile("more than %d tensors", MaxTensors)
		}
		entries = append(entries, e)
		return err
	})
	return entries, rules, err
}

// eachMember calls fn for the members of one JSON object, in their order, and
// refuses a name that comes twice.
func eachMember(object []byte, fn func(key string, raw json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return badFile("want a JSON object (%v)", err)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return badFile("JSON: %w", err)
		}
		key, ok := t.(string)
		if !ok || seen[key] {
			return badFile("the member %.64q comes twice", key)
		}
		seen[key] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return badFile("JSON: %w", err)
		}
		if err := fn(key, raw); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return badFile("JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badFile("text after the JSON object")
	}
	return nil
}

func parseMetadata(raw json.RawMessage, rules map[string]Rule) error {
	return eachMember(raw, func(key string, raw json.RawMessage) error {
		var value *string
		if err := json.Unmarshal(raw, &value); err != nil || value == nil {
			return badFile("metadata %.64q is not a string", key)
		}
		if key != rulesKey {
			return nil
		}
		return eachMember([]byte(*value), func(tensor string, raw json.RawMessage) error {
			var name string
			if err := json.Unmarshal(raw, &name); err != nil {
				return badFile("%s: %w", rulesKey, err)
			}
			rule, err := ParseRule(name)
			if err != nil {
				return badFile("%s: %w", rulesKey, err)
			}
			rules[tensor] = rule
			return nil
		})
	})
}

func parseEntry(name string, raw json.RawMessage) (entry, error) {
	e := entry{spec: Spec{Name: name}, from: -1}
	typed := false
	err := eachMember(raw, func(key string, raw json.RawMessage) error {
		switch key {
		case "dtype":
			typed = true
			return parseType(&e.spec.DType, raw)
		case "shape":
			shape, err := parseInts(raw, MaxDims)
			e.spec.Shape = make([]int, len(shape))
			for i, d := range shape {
				e.spec.Shape[i] = int(d)
			}
			return err
		case "data_offsets":
			span, err := parseInts(raw, 2)
			if err == nil && len(span) != 2 {
				err = badFile("data_offsets has %d numbers", len(span))
			}
			if err == nil {
				e.from, e.to = span[0], span[1]
			}
			return err
		}
		return badFile("unknown member %.64q", key)
	})
	if err == nil && (!typed || e.spec.Shape == nil || e.from < 0) {
		err = badFile("dtype, shape and data_offsets are needed")
	}
	if err != nil {
		return e, fmt.Errorf("tensor %.64q: %w", name, err)
	}
	return e, nil
}

func parseType(dst *DType, raw json.RawMessage) error {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return badFile("dtype: %w", err)
	}
	for i, t := range dtypes {
		if t.safe == name {
			*dst = DType(i)
			return nil
		}
	}
	return badFile("dtype %.16q is not supported (F16, BF16, F32, F64, I64 are)", name)
}

// parseInts reads a JSON array of at most n integers >= 0.
func parseInts(raw json.RawMessage, n int) ([]int64, error) {
	var ptrs []*int64
	if err := json.Unmarshal(raw, &ptrs); err != nil {
		return nil, badFile("JSON: %w", err)
	}
	if ptrs == nil || len(ptrs) > n {
		return nil, badFile("want an array of at most %d integers", n)
	}
	out := make([]int64, len(ptrs))
	for i, p := range ptrs {
		if p == nil || *p < 0 || int64(int(*p)) != *p {
			return nil, badFile("a size or offset is not an integer >= 0")
		}
		out[i] = *p
	}
	return out, nil
}

// layOut checks that the tensors fill [0, limit] side by side, sorts entries by
// their place in the file and returns the schema.
func layOut(entries []entry, rules map[string]Rule, limit int64) (Schema, error) {
	specs := make([]Spec, len(entries))
	for i, e := range entries {
		if rule, ok := rules[e.spec.Name]; ok {
			e.spec.Rule = rule
			delete(rules, e.spec.Name)
		}
		specs[i] = e.spec
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		return nil, badFile("%s names %.64q, which is not in the file", rulesKey, name)
	}
	schema, err := NewSchema(specs...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.from != b.from {
			return cmp.Compare(a.from, b.from)
		}
		return cmp.Compare(a.to, b.to)
	})
	end := int64(0)
	for _, e := range entries {
		if e.from != end || e.to < e.from || e.to-e.from != int64(e.spec.Bytes()) {
			return nil, badFile("tensor %q: bytes %d to %d do not follow byte %d with its size %d",
				e.spec.Name, e.from, e.to, end, e.spec.Bytes())
		}
		end = e.to
	}
	if end > limit {
		return nil, badFile("%d bytes of values, at most %d", end, limit)
	}
	return schema, nil
}
