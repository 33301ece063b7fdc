package model_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// file puts a length before a header and data after it.
func file(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// The file that safetensors 0.8.0 (Python) writes for {"w": float32 [[1, -2]], "n": int64 7}
// with the metadata {"format": "pt"}: the wider type first, the
// JSON padded with spaces to a multiple of 8 bytes.
const refHeader = `{"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
	`"w":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}`

const refData = "\x07\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x80\x3f" + "\x00\x00\x00\xc0"

func TestSafetensorsReference(t *testing.T) {
	t.Parallel()
	padded := refHeader + strings.Repeat(" ", -len(refHeader)&7)
	ref := file(padded, refData)
	m, err := model.ReadSafetensors(bytes.NewReader(ref), 16)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Float32s("w")
	if err != nil || len(w) != 2 || w[0] != 1 || w[1] != -2 || m.Bytes("n")[0] != 7 {
		t.Errorf("w = %v, n = %v, %v", w, m.Bytes("n"), err)
	}
	var out bytes.Buffer
	if err := m.WriteSafetensors(&out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), ref) {
		t.Errorf("written:\n%q\nwant:\n%q", out.Bytes(), ref)
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	t.Parallel()
	m, err := model.Arch{Kind: "mlp", Inputs: 3, Hidden: []int{4}, Outputs: 2, Task: "classification", Seed: 5}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.WriteSafetensors(f, map[string]string{"note": `<a & "b">`}), f.Close()); err != nil {
		t.Fatal(err)
	}
	back, err := model.ReadSafetensorsFile(path, int64(len(m.Blob)))
	if err != nil {
		t.Fatal(err)
	}
	sameModel(t, back, m)
	if _, err := model.ReadSafetensorsFile(path, int64(len(m.Blob))-1); !errors.Is(err, model.ErrSafetensors) {
		t.Errorf("one byte over the limit: %v", err)
	}
	if err := m.WriteSafetensors(io.Discard, map[string]string{"fedmq.rules": ""}); err == nil {
		t.Error("the reserved metadata was written")
	}
}

func sameModel(t testing.TB, got, want *model.Model) {
	t.Helper()
	if !got.Schema.Equal(want.Schema) || !bytes.Equal(got.Blob, want.Blob) {
		t.Errorf("got %v, want %v", got.Schema, want.Schema)
	}
	for i := range want.Schema {
		if got.Schema[i].Rule != want.Schema[i].Rule {
			t.Errorf("%q: rule %v, want %v", want.Schema[i].Name, got.Schema[i].Rule, want.Schema[i].Rule)
		}
	}
}

func TestSafetensorsRefuses(t *testing.T) {
	t.Parallel()
	one := func(tensor string) []byte { return file(`{"a":`+tensor+`}`, "1234") }
	for name, b := range map[string][]byte{
		"nothing":           {},
		"no header":         {2, 0, 0, 0, 0, 0, 0, 0},
		"huge header":       {0, 0, 0, 0, 0, 0, 0, 0x80},
		"1 MiB and 1":       file(`{`+strings.Repeat(" ", 1<<20-1)+`}`, ""),
		"space first":       file(` {}`, ""),
		"array":             file(`[]`, ""),
		"two objects":       file(`{}{}`, ""),
		"cut JSON":          file(`{"a":`, ""),
		"tensor null":       one(`null`),
		"dtype missing":     one(`{"shape":[1],"data_offsets":[0,4]}`),
		"shape missing":     one(`{"dtype":"F32","data_offsets":[0,4]}`),
		"shape null":        one(`{"dtype":"F32","shape":null,"data_offsets":[0,4]}`),
		"shape of null":     one(`{"dtype":"F32","shape":[null],"data_offsets":[0,4]}`),
		"shape fraction":    one(`{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}`),
		"shape negative":    one(`{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}`),
		"shape huge":        one(`{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,4]}`),
		"shape deep":        one(`{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}`),
		"offsets missing":   one(`{"dtype":"F32","shape":[1]}`),
		"one offset":        one(`{"dtype":"F32","shape":[1],"data_offsets":[0]}`),
		"three offsets":     one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}`),
		"offsets backwards": one(`{"dtype":"F32","shape":[1],"data_offsets":[4,0]}`),
		"offsets too long":  one(`{"dtype":"F32","shape":[1],"data_offsets":[0,8]}`),
		"gap at start":      one(`{"dtype":"F32","shape":[0],"data_offsets":[4,4]}`),
		"bool":              one(`{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}`),
		"lower case":        one(`{"dtype":"f32","shape":[1],"data_offsets":[0,4]}`),
		"unknown member":    one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}`),
		"member twice":      one(`{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}`),
		"control in a name": file(`{"a\u0000":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"name no UTF-8":     file("{\"a\xff\":"+`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"half a surrogate":  file(`{"a\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"name twice": file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`+
			`"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"overlap": file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},`+
			`"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"gap": file(`{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},`+
			`"b":{"dtype":"F16","shape":[1],"data_offsets":[3,5]}}`, "1234"),
		"cut data":        file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "123"),
		"more data":       file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "12345"),
		"metadata number": file(`{"__metadata__":{"a":1}}`, ""),
		"metadata null":   file(`{"__metadata__":{"a":null}}`, ""),
		"rules of none":   file(`{"__metadata__":{"fedmq.rules":"{\"a\":\"keep\"}"}}`, ""),
		"rules unknown": file(`{"__metadata__":{"fedmq.rules":"{\"a\":\"x\"}"},`+
			`"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"deep": file(strings.Repeat(`{"a":`, 100000), ""),
	} {
		_, err := model.ReadSafetensors(bytes.NewReader(b), 1<<20)
		if !errors.Is(err, model.ErrSafetensors) && !errors.Is(err, model.ErrSchema) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing in it": file(`{}`, ""),
		"scalar":        one(`{"dtype":"F32","shape":[],"data_offsets":[0,4]}`),
		"padded":        file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  `, "1234"),
	} {
		if _, err := model.ReadSafetensors(bytes.NewReader(b), 4); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A header that promises more than the limit is refused before its values are
// allocated.
func TestSafetensorsAllocation(t *testing.T) {
	const tera = `{"a":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}`
	b := file(tera, "")
	if n := allocated(func() { _, _ = model.ReadSafetensors(bytes.NewReader(b), 1<<20) }); n > 1<<16 {
		t.Errorf("%d bytes allocated for a refused header", n)
	}
}

func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(file(refHeader, refData))
	f.Add(file(`{}`, ""))
	f.Add(file(`{"__metadata__":{"fedmq.rules":"{\"a\":\"keep\"}"},"a":{"dtype":"BF16","shape":[0,3],"data_offsets":[0,0]}}`, ""))
	f.Add(file(`{"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, "\x00\x7c\x01\x00"))
	const limit = 4096
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *model.Model
		var err error
		// A JSON header costs its decoder about a hundred bytes for each of its own.
		if n := allocated(func() { m, err = model.ReadSafetensors(bytes.NewReader(b), limit) }); n > limit+1<<16+200*uint64(len(b)) {
			t.Errorf("%d bytes allocated for %d", n, len(b))
		}
		if err != nil {
			return
		}
		if err := m.Check(); err != nil || len(m.Blob) > limit {
			t.Fatalf("%d bytes accepted: %v", len(m.Blob), err)
		}
		var out bytes.Buffer
		if err := m.WriteSafetensors(&out, nil); err != nil {
			t.Fatal(err)
		}
		back, err := model.ReadSafetensors(&out, limit)
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		sameModel(t, back, m)
	})
}
