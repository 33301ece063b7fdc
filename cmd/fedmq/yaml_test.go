package main

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type testFile struct {
	Inline  testInline     `yaml:",inline"`
	Name    string         `yaml:"name"`
	Rounds  uint64         `yaml:"rounds"`
	Share   float64        `yaml:"share"`
	Wait    time.Duration  `yaml:"wait"`
	List    []testItem     `yaml:"list"`
	Where   map[string]any `yaml:"where"`
	Pointer *testItem      `yaml:"pointer"`
	Free    settings       `yaml:"free"`
	Hidden  string         // no key
}

type testInline struct {
	Broker string `yaml:"broker"`
}

type testItem struct {
	Key  string `yaml:"key"`
	Size int    `yaml:"size"`
}

func TestDecodeYAML(t *testing.T) {
	t.Parallel()
	var got testFile
	err := decodeYAML("f", []byte(`
broker: tcp://h   # of the inlined struct
name: a
rounds: 3
share: 1
wait: 90s
list: [{key: x}, {size: 2}]
where: {anything: [1, two]}
pointer: {key: p}
free: {lr: 1e-4}
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Inline.Broker != "tcp://h" || got.Rounds != 3 || got.Share != 1 || got.Wait != 90*time.Second ||
		len(got.List) != 2 || got.List[1].Size != 2 || got.Pointer.Key != "p" || string(got.Free.json) != `{"lr":1e-4}` {
		t.Errorf("got %+v", got)
	}
}

// A configuration may have been written on Windows.
func TestDecodeYAMLWindows(t *testing.T) {
	t.Parallel()
	const doc = "name: Größe\r\nlist:\r\n  - key: |\r\n      a\r\n      b\r\n"
	utf16 := func(order interface{ AppendUint16([]byte, uint16) []byte }) []byte {
		b := order.AppendUint16(nil, 0xfeff)
		for _, r := range doc {
			b = order.AppendUint16(b, uint16(r))
		}
		return b
	}
	for name, b := range map[string][]byte{
		"CR LF": []byte(doc), "byte order mark": []byte("\xef\xbb\xbf" + doc), "UTF-16": utf16(binary.LittleEndian), "UTF-16, big endian": utf16(binary.BigEndian),
	} {
		var got testFile
		if err := decodeYAML("f", b, &got); err != nil || got.Name != "Größe" || got.List[0].Key != "a\nb\n" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	var got testFile
	if err := decodeYAML("f", []byte("name: Gr\xf6\xdfe\n"), &got); fmt.Sprint(err) != "f: it is neither UTF-8 nor UTF-16: save it as UTF-8" {
		t.Errorf("Latin-1: %+v, %v", got, err)
	}
}

// Each case is a document and all of its error.
func TestDecodeYAMLErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, want string }{
		{"unknown key", "name: a\nnome: b\n", `f:2:1: unknown key "nome"; did you mean "name"?`},
		{"unknown key of an inlined struct", "borker: x\n", `f:1:1: unknown key "borker"; did you mean "broker"?`},
		{"in a list", "list:\n  - key: x\n  - kye: y\n", `f:3:5: unknown key "kye" in list[1]; did you mean "key"?`},
		{"behind a pointer", "pointer: {sise: 1}\n", `f:1:11: unknown key "sise" in pointer; did you mean "size"?`},
		{"nothing near", "xylophone: 1\n", `f:1:1: unknown key "xylophone"`},
		{"a field without a key", "Hidden: 1\n", `f:1:1: unknown key "Hidden"`},
		{"two at once", "nome: b\nlist: [{kye: y}]\n", "f:1:1: unknown key \"nome\"; did you mean \"name\"?\nf:2:9: unknown key \"kye\" in list[0]; did you mean \"key\"?"},
		{"word for a number", "rounds: many\n", "f:1:9: want a whole number, not many"},
		{"fraction for a whole number", "rounds: 1.5\n", "f:1:9: want a whole number, not 1.5"},
		{"negative", "rounds: -1\n", "f:1:9: -1 is beyond the range of the key"},
		{"word for a share", "share: all\n", "f:1:8: want a number, not all"},
		{"number for a duration", "wait: 90\n", "f:1:7: want a duration such as 90s or 5m, not 90"},
		{"word for a duration", "wait: long\n", "f:1:7: want a duration such as 90s or 5m, not long"},
		{"list for text", "name: [a]\n", "f:1:7: want text, not ["},
		{"key twice", "name: a\nname: b\n", `f:2:1: mapping key "name" already defined at [1:1]`},
		{"no value for any", "where: {u: ~}\n", "f:1:12: where.u has no value: want a value or a list of values, or leave the line out"},
		{"settings are no mapping", "free: [1]\n", "f:1:7: want a mapping of settings"},
		{"two documents", "name: a\n---\nname: b\n", "f: want one YAML document, found 2"},
		{"no document", "# nothing\n", "f: want one YAML document, found 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var dst testFile
			err := decodeYAML("f", []byte(c.doc), &dst)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An anchor stands for what it names, also where a duration is wanted.
func TestDecodeYAMLAnchor(t *testing.T) {
	t.Parallel()
	var got testFile
	if err := decodeYAML("f", []byte("wait: &w 5s\n"), &got); err != nil || got.Wait != 5*time.Second {
		t.Errorf("%v, %v", got.Wait, err)
	}
}

func TestYAMLKeys(t *testing.T) {
	t.Parallel()
	var got []string
	for k := range yamlKeys(reflect.TypeFor[testFile]()) {
		got = append(got, k)
	}
	slices.Sort(got)
	want := []string{"broker", "free", "list", "name", "pointer", "rounds", "share", "wait", "where"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, want string }{
		{"exponent without a point", "{l2: 1e-4}", `{"l2":1e-4}`},
		{"exponent with a point", "{l2: 1.0e-4}", `{"l2":1.0e-4}`},
		{"upper case", "{l2: 1E-4}", `{"l2":1E-4}`},
		{"negative exponent number", "{x: -5e+3}", `{"x":-5e+3}`},
		{"number as it is written", "{lr: 0.10}", `{"lr":0.10}`},
		{"whole", "{epochs: 5, seed: 18446744073709551615}", `{"epochs":5,"seed":18446744073709551615}`},
		{"quoted stays text", `{name: "1e-4", single: '5'}`, `{"name":"1e-4","single":"5"}`},
		{"word", "{optimiser: adam}", `{"optimiser":"adam"}`},
		{"no number", "{version: 1.2.3, e: 1e, hex: 0x1g, id: 007-A, day: 2026-01-01, at: 12:30:00}", `{"at":"12:30:00","day":"2026-01-01","e":"1e","hex":"0x1g","id":"007-A","version":"1.2.3"}`},
		{"YAML 1.2, not 1.1", "{a: yes, b: no, c: 0b101, d: 0x10, e: 0o17}", `{"a":"yes","b":"no","c":"0b101","d":16,"e":15}`},
		{"not as JSON writes them", "{a: .01, b: 1., c: +3, d: -.5, e: 1.e3, f: -.5e-3}", `{"a":0.01,"b":1.0,"c":3,"d":-0.5,"e":1.0e3,"f":-0.5e-3}`},
		{"zero", "{a: 0, b: -0, c: 0.0, d: 0e0}", `{"a":0,"b":-0,"c":0.0,"d":0e0}`},
		{"more digits than a float", "{a: 123456789012345678, b: 12345678901234567890123}", `{"a":123456789012345678,"b":12345678901234567890123}`},
		{"quoted zeros stay", `{a: "010", b: '1_000'}`, `{"a":"010","b":"1_000"}`},
		{"a block is text", "\n  a: |\n    010", `{"a":"010\n"}`},
		{"true and null", "{a: true, b: null}", `{"a":true,"b":null}`},
		{"nested", "{a: {b: [1e3, x, {c: 2}]}}", `{"a":{"b":[1e3,"x",{"c":2}]}}`},
		{"block", "\n  epochs: 5\n  lr: 1e-2", `{"epochs":5,"lr":1e-2}`},
		{"one line of a block", "\n  lr: 1e-2", `{"lr":1e-2}`},
		{"empty", "{}", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var dst testFile
			if err := decodeYAML("f", []byte("free: "+c.doc+"\n"), &dst); err != nil {
				t.Fatal(err)
			}
			if got := string(dst.Free.json); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ doc, want string }{
		{"{lr: 1, lr: 2}", `f:1:15: mapping key "lr" already defined at [1:8]`},
		{"{a: {lr: 1, lr: 2}}", `f:1:19: mapping key "lr" already defined at [1:12]`},
		{"{seed: 010}", `f:1:14: 010 may be read as more than one number, or as a text: write 10, or "010"`},
		{"{s: [1e-3, 08]}", `f:1:18: 08 may be read as more than one number, or as a text: write 8, or "08"`},
		{"{n: 1_000}", `f:1:11: 1_000 may be read as more than one number, or as a text: write 1000, or "1_000"`},
		{"{n: -00.5}", `f:1:11: -00.5 may be read as more than one number, or as a text: write -0.5, or "-00.5"`},
		{"{n: 01e3}", `f:1:11: 01e3 may be read as more than one number, or as a text: write 1e3, or "01e3"`},
		{"{n: 0x1_0}", `f:1:11: 0x1_0 may be read as more than one number, or as a text: write 0x10, or "0x1_0"`},
		{"{lr: .nan}", "f:1:12: Nan is no value for a setting"},
		{"{lr: .inf}", "f:1:12: Infinity is no value for a setting"},
		{"{lr: }", "f:1:11: a setting has no value: write one, or null where the trainer takes it, or leave the line out"},
		{"{lr: &x 1}", "f:1:12: Anchor is no value for a setting"},
		{"5", "f:1:7: want a mapping of settings"},
	} {
		var dst testFile
		if err := decodeYAML("f", []byte("free: "+c.doc+"\n"), &dst); fmt.Sprint(err) != c.want {
			t.Errorf("%s: %v, want %s", c.doc, err, c.want)
		}
	}
}

func TestBandwidth(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{"": 0, "9600 bit/s": 9_600, "256 kbit/s": 256_000, "1.5 Mbit/s": 1_500_000, "1 Gbit/s": 1_000_000_000} {
		if got, err := parseBandwidth(s); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"256", "256kbit/s", "256 kB/s", "-1 kbit/s", "0 bit/s", "NaN kbit/s", "1e300 Gbit/s", "x kbit/s"} {
		if got, err := parseBandwidth(s); err == nil {
			t.Errorf("%q is read as %d", s, got)
		}
	}
}
