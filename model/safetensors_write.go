package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// fileOrder is the order in which the reference writer puts types into a file:
// wide ones first, so that every value is aligned.
var fileOrder = [...]DType{I64, F64, F32, BF16, F16}

type fileEntry struct {
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Span  [2]int `json:"data_offsets"`
}

// WriteSafetensors writes the model as a safetensors file: tensors by type, wide
// ones first, then by name; the header padded with spaces to 8 bytes. Rules
// other than [Mean] are kept in the metadata, beside the entries of meta. The
// same model and meta always give the same bytes.
func (m *Model) WriteSafetensors(w io.Writer, meta map[string]string) error {
	if err := m.Check(); err != nil {
		return err
	}
	order := m.inFileOrder()
	header, err := m.header(order, meta)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, spec := range order {
		if _, err := w.Write(m.Bytes(spec.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) inFileOrder() []Spec {
	out := make([]Spec, 0, len(m.Schema))
	for _, d := range fileOrder {
		for _, spec := range m.Schema {
			if spec.DType == d {
				out = append(out, spec)
			}
		}
	}
	return out
}

// header returns the length prefix and the padded JSON header.
func (m *Model) header(order []Spec, meta map[string]string) ([]byte, error) {
	b := []byte("00000000{")
	full, err := m.metadata(meta)
	if err != nil {
		return nil, err
	}
	if len(full) > 0 {
		b = appendMember(b, metadataKey, full)
	}
	at := 0
	for _, spec := range order {
		shape := spec.Shape
		if shape == nil {
			shape = []int{}
		}
		end := at + spec.Bytes()
		b = appendMember(b, spec.Name, fileEntry{dtypes[spec.DType].safe, shape, [2]int{at, end}})
		at = end
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-8 > maxHeader {
		return nil, badFile("a header of %d bytes, at most %d", len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8)) // at least 2
	return b, nil
}

func (m *Model) metadata(meta map[string]string) (map[string]string, error) {
	if _, taken := meta[rulesKey]; taken {
		return nil, fmt.Errorf("model: metadata %q is reserved", rulesKey)
	}
	special := map[string]string{}
	for _, spec := range m.Schema {
		if spec.Rule != Mean {
			special[spec.Name] = spec.Rule.String()
		}
	}
	full := maps.Clone(meta)
	if len(special) > 0 {
		if full == nil {
			full = map[string]string{}
		}
		full[rulesKey] = string(compactJSON(special))
	}
	return full, nil
}

// appendMember adds "key":value to the open object in b.
func appendMember(b []byte, key string, value any) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, compactJSON(key)...)
	b = append(b, ':')
	return append(b, compactJSON(value)...)
}

// compactJSON writes strings, numbers and maps of strings, which cannot fail.
func compactJSON(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return slices.Clone(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}
