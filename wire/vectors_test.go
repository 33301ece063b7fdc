package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// The vectors are pinned in git and read in place; -update writes them anew
// from vectors_cases_test.go. A changed byte in a pinned vector is a change of
// the format: it needs a new case, not an edited one.
var update = flag.Bool("update", false, "write testdata/vectors/wire anew")

const vectorDir = "../testdata/vectors/wire"

// vector is one file. Its keys are described in the directory's README.
type vector struct {
	name, comment string
	op            string // scan, zstd, part, open, or the kind of a body
	topic         string // open
	signed        bool   // open: the receiver has keys
	maxRound      uint64 // open
	origin        Nonce  // open
	maxBody       int    // open, zstd; part: of the payload
	schema        string // update: JSON [[name, dtype, shape] ...], "" = any
	expect        string // "accepted" or a reason
	stage         int
	data          []byte
	fields        string // accepted: what was read, as JSON
}

// originText is "" for any origin.
func (v vector) originText() string {
	text, _ := v.origin.MarshalText()
	return string(text)
}

func (v vector) String() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" && value != "0" && value != "false" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	line("comment", v.comment)
	line("op", v.op)
	line("topic", v.topic)
	line("signed", strconv.FormatBool(v.signed))
	line("max_round", strconv.FormatUint(v.maxRound, 10))
	line("origin", v.originText())
	line("max_body", strconv.Itoa(v.maxBody))
	line("schema", v.schema)
	line("expect", v.expect)
	line("stage", strconv.Itoa(v.stage))
	line("fields", v.fields)
	fmt.Fprintf(&b, "bytes: %d\n\n", len(v.data))
	for h := hex.EncodeToString(v.data); h != ""; {
		n := min(96, len(h))
		b.WriteString(h[:n] + "\n")
		h = h[n:]
	}
	return b.String()
}

func readVector(path string) (v vector, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	head, hexes, _ := strings.Cut(string(text), "\n\n")
	v.name = strings.TrimSuffix(filepath.Base(path), ".txt")
	size := 0
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		var err error
		switch key {
		case "comment":
			v.comment = value
		case "op":
			v.op = value
		case "topic":
			v.topic = value
		case "signed":
			v.signed, err = strconv.ParseBool(value)
		case "max_round":
			v.maxRound, err = strconv.ParseUint(value, 10, 64)
		case "origin":
			err = v.origin.UnmarshalText([]byte(value))
		case "max_body":
			v.maxBody, err = strconv.Atoi(value)
		case "schema":
			v.schema = value
		case "expect":
			v.expect = value
		case "stage":
			v.stage, err = strconv.Atoi(value)
		case "fields":
			v.fields = value
		case "bytes":
			size, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return v, err
		}
	}
	v.data, err = hex.DecodeString(strings.ReplaceAll(hexes, "\n", ""))
	if err == nil && len(v.data) != size {
		err = fmt.Errorf("%d bytes, want %d", len(v.data), size)
	}
	return v, err
}

// pinned returns the vectors of git.
func pinned(tb testing.TB) []vector {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no vectors in %s: %v", vectorDir, err)
	}
	list := make([]vector, 0, len(paths))
	for _, p := range paths {
		v, err := readVector(p)
		if err != nil {
			tb.Fatalf("%s: %v", p, err)
		}
		list = append(list, v)
	}
	return list
}

func TestVectors(t *testing.T) {
	t.Parallel()
	if *update {
		writeVectors(t)
	}
	cases := map[string]vector{}
	for _, c := range vectorCases(t) {
		if _, dup := cases[c.name]; dup {
			t.Errorf("two cases are named %s", c.name)
		}
		cases[c.name] = c
	}
	for _, v := range pinned(t) {
		c := cases[v.name]
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			compressed := strings.Contains(v.name, "zstd") // another release of the library may compress to other bytes
			if c.fields = v.fields; v.String() != c.String() && !compressed {
				t.Error("the file differs from its case in vectors_*_test.go")
			}
			fields, err := v.run(t)
			v.judge(t, fields, err)
		})
		delete(cases, v.name)
	}
	for name := range cases {
		t.Errorf("case %s has no file: run with -update", name)
	}
}

func (v vector) judge(t *testing.T, fields string, err error) {
	t.Helper()
	if v.expect == "accepted" {
		if err != nil {
			t.Fatal(err)
		}
		if fields != v.fields {
			t.Errorf("fields\n%s\nwant\n%s", fields, v.fields)
		}
		return
	}
	r := refusalOf(t, err, v.expect, v.stage)
	if fields != v.fields {
		t.Errorf("fields\n%s\nwant\n%s", fields, v.fields)
	}
	if r.Detail == "" || len(r.Detail) > 600 {
		t.Errorf("detail %q", r.Detail)
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	old, _ := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	for _, p := range old {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range vectorCases(t) {
		fields, err := v.run(t)
		if v.expect == "accepted" && err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		v.fields = fields
		if err := os.WriteFile(filepath.Join(vectorDir, v.name+".txt"), []byte(v.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run does what the vector's op says and returns what was read as JSON. What
// is accepted must re-encode to the same bytes.
func (v vector) run(t *testing.T) (string, error) {
	t.Helper()
	switch v.op {
	case "scan":
		return "", Scan(v.data, ScanLimits{})
	case "zstd":
		plain, err := decompress(v.data, v.maxBody)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(`{"bytes":%d,"sha256":%q}`, len(plain), model.HashOf(plain)), nil
	case "content":
		return fmt.Sprintf(`{"bytes":%d,"content":%q,"part":%q}`, len(v.data), model.ContentOf(v.data), model.PartOf(v.data)), nil
	case "part":
		p, err := DecodePart(v.data, v.maxBody)
		if err != nil {
			return "", err
		}
		if again := AppendPart(nil, p); !bytes.Equal(again, v.data) {
			t.Errorf("re-encodes to %x", again)
		}
		return fmt.Sprintf(`{"blob":%q,"index":%d,"count":%d,"bytes":%d,"hash":%q}`, p.Blob, p.Index, p.Count, len(p.Data), model.PartOf(p.Data)), nil
	case "open":
		return v.open(t)
	}
	m, refused := v.decode(t)
	if refused != nil && (Unsupported(refused) == "" || m == nil) {
		return "", refused
	}
	if again := m.appendTo(nil); !bytes.Equal(again, v.data) && !moreThan(m, v.data) {
		t.Errorf("re-encodes to %x", again)
	}
	in := &Inspection{Format: "fedmq"}
	if err := in.readBody(Header{Kind: v.op}, v.data); err != nil && in.Body == nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"form": in.Form, "body": in.Body, "tensors": in.Tensors})
	return string(text), errors.Join(err, refused)
}

func (v vector) decode(t *testing.T) (Message, error) {
	t.Helper()
	if v.schema == "" {
		return decodeBody(v.op, v.data)
	}
	var rows [][]any
	if err := json.Unmarshal([]byte(v.schema), &rows); err != nil {
		t.Fatal(err)
	}
	want := model.Schema{}
	for _, row := range rows {
		d, err := model.ParseDType(row[1].(string))
		if err != nil {
			t.Fatal(err)
		}
		spec := model.Spec{Name: row[0].(string), DType: d}
		for _, n := range row[2].([]any) {
			spec.Shape = append(spec.Shape, int(n.(float64)))
		}
		want = append(want, spec)
	}
	return DecodeUpdate(v.data, want)
}

func (v vector) open(t *testing.T) (string, error) {
	t.Helper()
	o := &Opener{NS: testNamespace(t), Owner: aggNode}
	if v.signed {
		o.Keys = testKeys(t)
	}
	h, body, err := o.Open(v.topic, v.data, Bound{MaxRound: v.maxRound, MaxBody: v.maxBody, Origin: v.origin})
	if err != nil {
		return "", err
	}
	m, err := decodeBody(h.Kind, body)
	if err != nil {
		return "", err
	}
	if again := encode(t, m); !bytes.Equal(again, body) {
		t.Errorf("the body re-encodes to %x", again)
	}
	if h.Encoding != EncodingDenseZstd { // the same content may compress to other bytes
		var s *Signer
		for b := range byte(4) {
			if c := testSigner(t, b); bytes.Equal(c.KeyID(), h.KeyID) {
				s = c
			}
		}
		if again := seal(t, h, body, s); !bytes.Equal(again, v.data) {
			t.Errorf("sealed again: %x", again)
		}
	}
	in, err := Inspect(v.data)
	if err != nil {
		return "", errors.New("Inspect: " + err.Error())
	}
	text, err := json.Marshal(in)
	return string(text), err
}
