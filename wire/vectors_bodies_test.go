package wire

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/zframe"
)

// bodyCase starts a case of a body that is refused as malformed at step 12.
func bodyCase(op, name, comment string, data []byte) vector {
	return vector{name: op + "-bad-" + name, comment: comment, op: op, expect: ReasonMalformed, stage: StageDecode, data: data}
}

// unsupported starts a case of a body that wants a later version.
func unsupported(op, name, comment string, data []byte) vector {
	return vector{name: op + "-bad-" + name, comment: comment, op: op, expect: ReasonUnsupported, stage: StageDecode, data: data}
}

// replaced replaces the only place of old in b.
func replaced(t *testing.T, b, old, with []byte) []byte {
	t.Helper()
	if n := bytes.Count(b, old); n != 1 {
		t.Fatalf("%x occurs %d times", old, n)
	}
	return bytes.Replace(b, old, with, 1)
}

func orderCases(t *testing.T) []vector {
	t.Helper()
	sampled := testOrder()
	sampled.SampleSeed, sampled.SampleThreshold, sampled.GridB = Nonce{7}, 1<<62, -40
	sampled.Settings, sampled.Weights = nil, "sqrt"
	good := encode(t, testOrder())
	bad := func(name, comment string, change func(*Order)) vector {
		o := testOrder()
		change(&o)
		return bodyCase(KindOrder, name, comment, o.appendTo(nil))
	}
	return []vector{
		{name: "order-sampled", comment: "An order that samples, with a negative grid exponent and no settings.", op: KindOrder, expect: accepted, data: encode(t, sampled)},
		unsupported(KindOrder, "work", "Work that this version does not know.", replaced(t, good, appendStr(nil, WorkTrain), appendStr(nil, "prune"))),
		bad("weights", "A rule of weights that is no word.", func(o *Order) { o.Weights = "By Size" }),
		bad("deadline", "A deadline of more than 2^40 ms.", func(o *Order) { o.DeadlineMS = maxMS + 1 }),
		bad("grid-b", "A grid exponent below -1,023.", func(o *Order) { o.GridB = -1024 }),
		bad("grid-w", "A total weight of more than 2^62.", func(o *Order) { o.GridW = 63 }),
		bad("settings-array", "Settings that are JSON but no object.", func(o *Order) { o.Settings = []byte("[]") }),
		bad("settings-broken", "Settings that are no JSON.", func(o *Order) { o.Settings = []byte("{") }),
		bad("settings-long", "Settings of more than 16 KiB.", func(o *Order) { o.Settings = []byte(`{"a":"` + strings.Repeat("a", maxSettings) + `"}`) }),
		bad("part-size", "A part size below 4,160.", func(o *Order) { o.PartSize = MinPart - 1 }),
		bodyCase(KindOrder, "fields", "An order of 17 fields, without members.", append([]byte{0xdc, 0, 17}, good[3:len(good)-1]...)),
		bodyCase(KindOrder, "instance", "An instance of 15 bytes.", replaced(t, good, appendBin(nil, append([]byte{1, 2, 3}, make([]byte, 13)...)), appendBin(nil, make([]byte, 15)))),
		bodyCase(KindOrder, "seed-zeros", "A sampling seed of 16 zeros: absent is a bin of 0 bytes.", replaced(t, good, appendBin(nil, nil), appendBin(nil, make([]byte, 16)))),
		bodyCase(KindOrder, "work-bin", "Work as a bin.", replaced(t, good, appendStr(nil, "train"), appendBin(nil, []byte("train")))),
	}
}

// row is a table row as written by hand.
func row(name, dtype string, shape []uint64, offset, size uint64) []byte {
	b := appendStr(appendStr(appendArray(nil, rowFields), name), dtype)
	b = appendArray(b, len(shape))
	for _, d := range shape {
		b = appendUint(b, d)
	}
	return appendUint(appendUint(b, offset), size)
}

// tableOf puts rows and a blob into an update, or with rules into a model.
func tableOf(blob int, rules []string, rows ...[]byte) []byte {
	b := appendUint(appendStr(appendArray(nil, 6), tagInline), 7)
	if rules == nil {
		b = appendArray(b, 0)
	}
	b = appendArray(b, len(rows))
	for _, r := range rows {
		b = append(b, r...)
	}
	if rules != nil {
		b = appendArray(b, len(rules))
		for _, r := range rules {
			b = appendStr(b, r)
		}
	}
	return appendMap(appendBin(b, make([]byte, blob)), 0)
}

func modelCases(t *testing.T) []vector {
	t.Helper()
	bad := func(name, comment string, data []byte) vector { return bodyCase(KindModel, name, comment, data) }
	a := row("a", "f32", []uint64{2}, 0, 8)
	return []vector{
		{
			name: "model-empty-tensor", comment: "A tensor with a dimension of 0 has no bytes; one without dimensions has one element.", op: KindModel, expect: accepted,
			data: tableOf(8, []string{"mean", "keep"}, row("a", "f16", []uint64{0, 5}, 0, 0), row("b", "i64", nil, 0, 8)),
		},
		unsupported(KindModel, "form", "A form of model this version does not know.", appendStr(appendArray(nil, 1), "sketch")),
		unsupported(KindModel, "rule", "A rule that this version does not know.", tableOf(8, []string{"sum"}, a)),
		bad("rule-word", "A rule that is no word.", tableOf(8, []string{"Mean"}, a)),
		bad("rules-count", "Two rules for one tensor.", tableOf(8, []string{"mean", "mean"}, a)),
		bad("blob-short", "A blob of fewer bytes than the table says.", tableOf(7, []string{"mean"}, a)),
		bad("name-reserved", "The tensor name that safetensors reserves.", tableOf(8, []string{"mean"}, row("__metadata__", "f32", []uint64{2}, 0, 8))),
		{name: "model-bad-items", comment: "4,097 tensors.", op: KindModel, expect: ReasonMalformed, stage: StageDecode, data: manyRows(4097)},
	}
}

// manyRows is a model of n empty tensors.
func manyRows(n int) []byte {
	rows, rules := make([][]byte, n), make([]string, n)
	for i := range rows {
		rows[i] = row(string(rune('a'+i/676))+string(rune('a'+i/26%26))+string(rune('a'+i%26)), "f32", []uint64{0}, 0, 0)
		rules[i] = "mean"
	}
	return tableOf(0, rules, rows...)
}

func updateCases(t *testing.T) []vector {
	t.Helper()
	bad := func(name, comment string, data []byte) vector { return bodyCase(KindUpdate, name, comment, data) }
	a := row("a", "f32", []uint64{2}, 0, 8)
	want := func(name, comment, schema string, data []byte) vector {
		return vector{name: "update-bad-" + name, comment: comment, op: KindUpdate, schema: schema, expect: ReasonSchemaMismatch, stage: StageSchema, data: data}
	}
	metrics := func(reason string, stage int, name, comment string, items ...[]byte) vector {
		b := appendArray(appendUint(appendStr(appendArray(nil, 6), tagInline), 7), len(items))
		for _, it := range items {
			b = append(b, it...)
		}
		b = appendMap(appendBin(appendArray(b, 0), nil), 0)
		return vector{name: "update-bad-" + name, comment: comment, op: KindUpdate, expect: reason, stage: stage, data: b}
	}
	metric := func(name string, v float64) []byte { return appendFloat(appendStr(appendArray(nil, 2), name), v) }
	zeros := tableOf(8, nil, a)
	return []vector{
		{name: "update-schema", comment: "An update that has exactly the schema wanted.", op: KindUpdate, schema: `[["a","f32",[2]]]`, expect: accepted, data: zeros},
		{
			name: "update-metrics-order", comment: "Metrics by byte order of their names; -0 keeps its sign.", op: KindUpdate, expect: accepted,
			data: encode(t, Update{Samples: 1, Metrics: map[string]float64{"actual.12": 3, "loss/valid:1-a_b": 2, "b": math.Copysign(0, -1), "B": 1, "a.1": math.MaxFloat64}}),
		},
		bad("form", "An offer of two fields.", appendArray(appendStr(appendArray(nil, 2), tagOffer), 0)),
		unsupported(KindUpdate, "form-unknown", "A form of update this version does not know.", appendArray(appendStr(appendArray(nil, 2), "sketch"), 0)),
		bad("fields", "An inline update of four fields.", appendArray(appendArray(appendUint(appendStr(appendArray(nil, 4), tagInline), 7), 0), 0)),
		bad("samples", "Samples that are negative.", replaced(t, zeros, []byte("\xa6inline\x07"), []byte("\xa6inline\xff"))),
		bad("row-order", "Tensors that are not in byte order of their names.", tableOf(16, nil, row("b", "f32", []uint64{2}, 0, 8), row("a", "f32", []uint64{2}, 8, 8))),
		bad("row-twice", "Two tensors of one name.", tableOf(16, nil, a, row("a", "f32", []uint64{2}, 8, 8))),
		bad("row-gap", "A gap between two tensors.", tableOf(24, nil, a, row("b", "f32", []uint64{2}, 16, 8))),
		bad("row-overlap", "Two tensors that overlap.", tableOf(12, nil, a, row("b", "f32", []uint64{2}, 4, 8))),
		bad("row-bytes", "A tensor whose bytes are not its shape's.", tableOf(12, nil, row("a", "f32", []uint64{2}, 0, 12))),
		bad("row-overflow", "A shape whose product is 2^64 elements, 0 bytes if it wraps.", tableOf(0, nil, row("a", "f32", []uint64{1 << 32, 1 << 32}, 0, 0))),
		bad("row-overflow-zero", "The same behind a dimension of 0.", tableOf(0, nil, row("a", "f32", []uint64{0, 1 << 32, 1 << 32}, 0, 0))),
		{
			name: "update-bad-row-overflow-wanted", comment: "The same where another schema is wanted: what is malformed is said first.", op: KindUpdate, schema: `[["a","f32",[2]]]`,
			expect: ReasonMalformed, stage: StageDecode, data: tableOf(0, nil, row("a", "f32", []uint64{1 << 32, 1 << 32}, 0, 0)),
		},
		bad("row-rank", "A tensor of nine dimensions.", tableOf(4, nil, row("a", "f32", []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 4))),
		bad("row-dtype", "A dtype that does not exist.", tableOf(8, nil, row("a", "q8", []uint64{8}, 0, 8))),
		bad("row-name-empty", "A tensor without a name.", tableOf(8, nil, row("", "f32", []uint64{2}, 0, 8))),
		bad("row-name-control", "A tensor name with a control character.", tableOf(8, nil, row("a\x1b", "f32", []uint64{2}, 0, 8))),
		bad("row-name-long", "A tensor name of 257 bytes.", tableOf(8, nil, row(strings.Repeat("a", 257), "f32", []uint64{2}, 0, 8))),
		bad("blob-long", "A blob of more bytes than the table says.", tableOf(9, nil, a)),
		bad("blob-str", "A blob that is a str.", appendMap(append(zeros[:len(zeros)-11:len(zeros)-11], append([]byte{0xa8}, make([]byte, 8)...)...), 0)),
		want("schema-name", "A tensor of another name than the schema wants.", `[["b","f32",[2]]]`, zeros),
		want("schema-dtype", "A tensor of another dtype.", `[["a","f16",[2]]]`, zeros),
		want("schema-shape", "A tensor of another shape and the same bytes.", `[["a","f32",[2,1]]]`, zeros),
		want("schema-count", "A tensor more than the schema wants.", `[["a","f32",[1]],["b","f32",[1]]]`, zeros),
		want("schema-none", "Tensors where none are wanted.", `[]`, zeros),
		metrics(ReasonNotFinite, StageSchema, "metric-nan", "A metric that is NaN.", metric("x", math.NaN())),
		metrics(ReasonNotFinite, StageSchema, "metric-inf", "A metric that is infinite.", metric("x", math.Inf(-1))),
		metrics(ReasonMalformed, StageDecode, "metric-order", "Metrics that are not in order.", metric("b", 1), metric("a", 1)),
		metrics(ReasonMalformed, StageDecode, "metric-twice", "One metric twice.", metric("a", 1), metric("a", 1)),
		metrics(ReasonMalformed, StageDecode, "metric-int", "A metric that is an integer.", []byte("\x92\xa1a\x01")),
		metrics(ReasonMalformed, StageDecode, "metric-name", "A metric without a name.", metric("", 1)),
		metrics(ReasonMalformed, StageDecode, "metric-name-html", "A metric whose name is HTML.", metric("<b>x</b>", 1)),
		metrics(ReasonMalformed, StageDecode, "metric-name-long", "A metric whose name has 65 bytes.", metric(strings.Repeat("m", 65), 1)),
		metrics(ReasonMalformed, StageDecode, "metric-named", "65 metrics that are no counts of classes.", bytes.Split(manyMetrics(65), []byte("|"))[:65]...),
		metrics(ReasonMalformed, StageDecode, "metric-many", "257 metrics.", bytes.Split(manyMetrics(257), []byte("|"))[:257]...),
	}
}

func manyMetrics(n int) []byte {
	var b []byte
	for i := range n {
		b = append(appendFloat(appendStr(appendArray(b, 2), string([]byte{byte('a' + i/26), byte('a' + i%26)})), 1), '|')
	}
	return b
}

func smallCases(t *testing.T) []vector {
	t.Helper()
	join := encode(t, testJoin(t))
	bare := testJoin(t)
	bare.Schema = [32]byte{}
	tail := len(appendMap(appendStr(appendBin(appendStr(nil, bare.Agent), bare.Disk[:]), bare.Host), 0)) // what follows the attempt
	reply := func(name, comment string, data []byte) vector { return bodyCase(KindReply, name, comment, data) }
	settled := encode(t, Settled{Round: 1, Verdict: "counted"})
	return []vector{
		{name: "join-no-schema", comment: "A join of a site that takes any schema.", op: KindJoin, expect: accepted, data: encode(t, bare)},
		bodyCase(KindJoin, "agent-long", "An agent of 65 bytes.", replaced(t, join, appendStr(nil, testJoin(t).Agent), appendStr(nil, strings.Repeat("a", 65)))),
		bodyCase(KindJoin, "agent-control", "An agent with a line break.", replaced(t, join, appendStr(nil, testJoin(t).Agent), appendStr(nil, "a\nb"))),
		bodyCase(KindJoin, "attempt", "An attempt of 2^32.", slices.Concat(join[:len(join)-tail-1], appendUint(nil, 1<<32), join[len(join)-tail:])),
		bodyCase(KindJoin, "fields", "A join of nine fields: without members.", append([]byte{0x99}, join[1:len(join)-1]...)),
		bodyCase(KindJoin, "disk", "A disk of 15 bytes.", replaced(t, join, appendBin(nil, bare.Disk[:]), appendBin(nil, bare.Disk[:15]))),
		bodyCase(KindJoin, "host-long", "A host of 65 bytes.", replaced(t, join, appendStr(nil, bare.Host), appendStr(nil, strings.Repeat("h", 65)))),
		bodyCase(KindJoin, "schema-zeros", "A schema hash of 32 zeros: absent is a bin of 0 bytes.", replaced(t, encode(t, bare), appendBin(nil, nil), appendBin(nil, make([]byte, 32)))),
		bodyCase(KindReply, "content-zeros", "A refusal with a content id of 32 zeros: absent is a bin of 0 bytes.",
			replaced(t, encode(t, RefusalReply{Round: 1, Reason: "malformed"}), appendBin(nil, nil), appendBin(nil, make([]byte, 32)))),
		{
			name: "reply-refusal-full", comment: "A refusal with a content id and a counter.", op: KindReply, expect: accepted,
			data: encode(t, RefusalReply{Round: 1, Attempt: 2, Content: testUpdate(t).Content(), Reason: "old_counter", Detail: "highest 1700000000001", Counter: 1_700_000_000_001}),
		},
		{name: "reply-settled-zeros", comment: "A receipt's or settled's content id is always 32 bytes, zeros too.", op: KindReply, expect: accepted, data: settled},
		reply("tag", "A wait of one field.", appendStr(appendArray(nil, 1), tagWait)),
		unsupported(KindReply, "tag-unknown", "A reply this version does not know.", appendStr(appendArray(nil, 1), "later")),
		reply("fields", "A welcome of three fields.", appendUint(appendUint(appendStr(appendArray(nil, 3), tagWelcome), 0), 0)),
		reply("fields-extra", "A superseded of four fields.", append(flipTo(encode(t, Superseded{Instance: Nonce{1}}), 0, 0x94), 0)),
		reply("standby-wait", "A standby for longer than 2^40 ms.", replaced(t, encode(t, Standby{Instance: Nonce{1}, WaitMS: 90_000}), appendUint(nil, 90_000), appendUint(nil, 1<<40+1))),
		reply("content", "A settled without a content id.", replaced(t, settled, appendBin(nil, make([]byte, 32)), appendBin(nil, nil))),
		reply("verdict", "A verdict that is no word.", replaced(t, settled, appendStr(nil, "counted"), appendStr(nil, "Counted"))),
		reply("map", "A reply that is a map.", []byte("\x81\xa7welcome\x01")),
	}
}

func zstdCases(t *testing.T) []vector {
	t.Helper()
	frame, err := zframe.Compress(bytes.Repeat([]byte("fedmq "), 100))
	if err != nil {
		t.Fatal(err)
	}
	bad := func(name, comment, reason string, data []byte) vector {
		return vector{name: "zstd-bad-" + name, comment: comment, op: "zstd", maxBody: 1000, expect: reason, stage: StageDecompress, data: data}
	}
	magic := "\x28\xb5\x2f\xfd"
	raw := magic + "\x20\x03\x19\x00\x00abc" // one segment, 3 bytes, one raw block
	return []vector{
		{name: "zstd-frame", comment: "600 bytes that repeat, as one frame.", op: "zstd", maxBody: 1000, expect: accepted, data: frame},
		{name: "zstd-raw", comment: "A frame of one raw block.", op: "zstd", maxBody: 3, expect: accepted, data: []byte(raw)},
		bad("size", "600 bytes where 1,000 are declared.", ReasonMalformed, flip16(frame, 600, 1000)),
		bad("bound", "More content than the receiver's bound.", ReasonTooLarge, []byte(magic+"\xa0\xe9\x03\x00\x00\x4b\x1f\x00a")),
		bad("bomb", "A real bomb: 256 MiB of one byte in 8 KiB.", ReasonTooLarge, rleBomb(2048)),
		bad("claim", "Nine bytes that claim 4 GiB.", ReasonMalformed, []byte(magic+"\xa0\xff\xff\xff\xff\x01\x00\x00")),
		bad("no-size", "A frame that does not declare its content size.", ReasonMalformed, []byte(magic+"\x00\x00\x19\x00\x00abc")),
		bad("trailing", "A byte follows the frame.", ReasonMalformed, []byte(raw+"\x00")),
		bad("two-frames", "Two frames.", ReasonMalformed, []byte(raw+raw)),
		bad("skippable", "A skippable frame.", ReasonMalformed, []byte("\x50\x2a\x4d\x18\x00\x00\x00\x00")),
		bad("dictionary", "A frame that needs a dictionary.", ReasonMalformed, []byte(magic+"\x21\x07\x03\x19\x00\x00abc")),
		bad("window", "A window of 16 MiB around a good frame of 256 bytes.", ReasonMalformed, append([]byte(magic+"\x40\x70\x00\x00\x01\x08\x00"), make([]byte, 256)...)),
		bad("cut", "The last byte of the frame is missing.", ReasonMalformed, []byte(raw[:len(raw)-1])),
		bad("block", "A reserved block type.", ReasonMalformed, []byte(magic+"\x20\x03\x1f\x00\x00abc")),
		bad("checksum", "A frame whose checksum is wrong.", ReasonMalformed, []byte(magic+"\x24\x03\x19\x00\x00abc\x00\x00\x00\x00")),
		bad("empty", "No bytes at all.", ReasonMalformed, nil),
	}
}

// flip16 changes a declared content size of two bytes (size - 256).
func flip16(frame []byte, from, to int) []byte {
	return bytes.Replace(frame, []byte{byte(from - 256), byte((from - 256) >> 8)}, []byte{byte(to - 256), byte((to - 256) >> 8)}, 1)
}

// rleBomb is a frame of n blocks of 128 KiB of one repeated byte each.
func rleBomb(n int) []byte {
	b := []byte("\x28\xb5\x2f\xfd\x80\x38") // content size of 4 bytes, window 128 KiB
	size := uint32(n * (128 << 10))
	b = append(b, byte(size), byte(size>>8), byte(size>>16), byte(size>>24))
	for i := range n {
		head := byte(2)
		if i == n-1 {
			head = 3
		}
		b = append(b, head, 0, 0x10, 'a')
	}
	return b
}
