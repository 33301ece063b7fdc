package wire

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// vectorCases is every vector, one behaviour each.
func vectorCases(t *testing.T) []vector {
	t.Helper()
	var all []vector
	for _, list := range [][]vector{
		scanCases(), openCases(t), openBadCases(t), headerCases(t), orderCases(t), modelCases(t), updateCases(t), smallCases(t), zstdCases(t), memberCases(t),
		contentCases(), partOpenCases(t), partPayloadCases(t), partBodyCases(t),
	} {
		all = append(all, list...)
	}
	return all
}

const accepted = "accepted"

func scanCases() []vector {
	str := func(s string) []byte { return appendStr(nil, s) }
	nest := func(n int) []byte { return append(bytes.Repeat([]byte{0x91}, n-1), 0x90) }
	good := func(name, comment string, data []byte) vector {
		return vector{name: "scan-" + name, comment: comment, op: "scan", expect: accepted, data: data}
	}
	bad := func(name, comment string, data []byte) vector {
		return vector{name: "scan-bad-" + name, comment: comment, op: "scan", expect: ReasonMalformed, stage: StageScan, data: data}
	}
	return []vector{
		good("scalars", "Each type that is used, each in its shortest form.", []byte("\x98\xc0\xc3\x7f\xe0\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1a\xc4\x01b\x80")),
		good("depth-8", "Eight arrays inside each other: the deepest.", nest(8)),
		good("items-4096", "One array of 4,095 items: with itself 4,096, the most.", append(appendArray(nil, 4095), make([]byte, 4095)...)),
		good("map", "Map keys are strs in ascending byte order.", []byte("\x82\xa1a\x01\xa1b\x02")),
		bad("empty", "No bytes at all.", nil),
		bad("depth-9", "Nine arrays inside each other.", nest(9)),
		bad("items-4097", "4,097 items.", append(appendArray(nil, 4096), make([]byte, 4096)...)),
		bad("trailing", "A byte follows the message.", []byte("\x91\x01\xc0")),
		bad("cut-int", "A number ends before its last byte.", []byte("\xcd\x01")),
		bad("cut-array", "An array of two with one item.", []byte("\x92\x01")),
		bad("bomb-array", "Five bytes that claim 2^32-1 items.", []byte("\xdd\xff\xff\xff\xff")),
		bad("bomb-map", "Five bytes that claim 2^32-1 entries.", []byte("\xdf\xff\xff\xff\xff")),
		bad("bomb-bin", "Five bytes that claim 2^32-1 bytes.", []byte("\xc6\xff\xff\xff\xff")),
		bad("map-entries", "A map of two entries with three bytes left: an entry takes two at least.", []byte("\x82\xa0\xc0\xa0")),
		bad("uint8-short", "127 in a uint8: a fixint is shorter.", []byte("\xcc\x7f")),
		bad("uint16-short", "255 in a uint16.", []byte("\xcd\x00\xff")),
		bad("uint32-short", "65,535 in a uint32.", []byte("\xce\x00\x00\xff\xff")),
		bad("uint64-short", "2^32-1 in a uint64.", []byte("\xcf\x00\x00\x00\x00\xff\xff\xff\xff")),
		bad("int8-positive", "1 in a signed form.", []byte("\xd0\x01")),
		bad("int8-short", "-32 in an int8.", []byte("\xd0\xe0")),
		bad("int16-short", "-128 in an int16.", []byte("\xd1\xff\x80")),
		bad("str8-short", "A str8 of 31 bytes: a fixstr is shorter.", append([]byte("\xd9\x1f"), strings.Repeat("a", 31)...)),
		bad("bin16-short", "A bin16 of 255 bytes.", append([]byte("\xc5\x00\xff"), make([]byte, 255)...)),
		bad("array16-short", "An array16 of 15 items.", append([]byte("\xdc\x00\x0f"), make([]byte, 15)...)),
		bad("float32", "A float32: floats are float64.", []byte("\xca\x3f\x80\x00\x00")),
		bad("ext", "An ext type.", []byte("\xd4\x01\x00")),
		bad("timestamp", "The timestamp ext.", []byte("\xd6\xff\x00\x00\x00\x00")),
		bad("reserved", "The reserved type byte c1.", []byte("\xc1")),
		bad("utf8", "A str that is not UTF-8.", []byte("\xa1\xff")),
		bad("utf8-surrogate", "A str with a surrogate, which UTF-8 does not have.", str("\xed\xa0\x80")),
		bad("key-twice", "A map with the same key twice.", []byte("\x82\xa1a\x01\xa1a\x02")),
		bad("key-order", "Map keys that do not ascend.", []byte("\x82\xa1b\x01\xa1a\x02")),
		bad("key-int", "A map key that is no str.", []byte("\x81\x01\x02")),
	}
}

// sealed is an open case of a message of each kind.
func openCases(t *testing.T) []vector {
	t.Helper()
	agg, site := testSigner(t, 1), testSigner(t, 2)
	one := func(name, comment string, h Header, m Message, s *Signer) vector {
		return vector{
			name: "open-" + name, comment: comment, op: "open", topic: h.Topic, signed: s != nil, maxRound: 8,
			expect: accepted, data: seal(t, h, encode(t, m), s),
		}
	}
	zipped := header(t, KindUpdate)
	zipped.Encoding = EncodingDenseZstd
	none := header(t, KindOrder)
	none.Base, none.Schema, none.Round, none.Epoch = [32]byte{}, [32]byte{}, 0, 0
	welcome := header(t, KindReply)
	return []vector{
		one("order", "A signed order.", header(t, KindOrder), testOrder(), agg),
		one("order-unsigned", "The same order where the task does not sign.", header(t, KindOrder), testOrder(), nil),
		one("order-no-base", "A header without base and schema has bins of 0 bytes.", none, Order{Work: WorkNone, Weights: "samples", PartSize: DefaultPart}, agg),
		one("model", "A signed model, inline, with all rules and four dtypes.", header(t, KindModel), Model{Version: 7, Tensors: testModel(t)}, agg),
		one("join", "A signed join.", header(t, KindJoin), testJoin(t), site),
		one("update", "A signed update with metrics and tensors.", header(t, KindUpdate), testUpdate(t), site),
		one("update-zstd", "The same update as one zstd frame; the content id is the same.", zipped, testUpdate(t), site),
		one("update-evaluate", "An update without tensors: its content id is over the metrics.", header(t, KindUpdate), Update{Samples: 40, Metrics: map[string]float64{"n": 40, "se": 0.5}}, site),
		one("update-decline", "A decline travels as an update.", header(t, KindUpdate), Decline{Reason: "busy", Detail: "training another task"}, site),
		one("reply-welcome", "A reply: welcome.", welcome, Welcome{Index: 3, FromRound: 7, FromAttempt: 1}, agg),
		one("reply-receipt", "A reply: receipt.", welcome, Receipt{Round: 7, Attempt: 1, Content: testUpdate(t).Content()}, agg),
		one("reply-settled", "A reply: settled.", welcome, Settled{Round: 6, Content: testUpdate(t).Content(), Verdict: "counted"}, agg),
		one("reply-refusal", "A reply: refusal.", welcome, RefusalReply{Round: 7, Attempt: 1, Reason: "not_finite", Detail: "layers.0.weight"}, agg),
		one("reply-superseded", "A reply: superseded.", welcome, Superseded{Instance: Nonce{9}}, agg),
		one("reply-standby", "A reply: standby.", welcome, Standby{Instance: Nonce{9}, WaitMS: 90_000, Host: "gateway-7"}, agg),
	}
}

// openBadCases are refused at steps 1 to 10.
func openBadCases(t *testing.T) []vector {
	t.Helper()
	site := testSigner(t, 2)
	body := encode(t, testUpdate(t))
	good := seal(t, header(t, KindUpdate), body, site)
	var list []vector
	add := func(name, comment, reason string, stage int, data []byte, change ...func(*vector)) {
		v := vector{
			name: "open-bad-" + name, comment: comment, op: "open", topic: upTopic, signed: true, maxRound: 8,
			expect: reason, stage: stage, data: data,
		}
		for _, f := range change {
			f(&v)
		}
		list = append(list, v)
	}
	with := func(change func(*Header), s *Signer) []byte {
		h := header(t, KindUpdate)
		change(&h)
		return seal(t, h, body, s)
	}
	flip := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 1; return b }
	unsigned := func(v *vector) { v.signed = false }

	big := header(t, KindReply)
	add("size", "A reply of more than 64 KiB, which is not even an envelope.", ReasonTooLarge, StageSize, make([]byte, DefaultOrder+1),
		func(v *vector) { v.topic = big.Topic })
	add("version", "Envelope version 2.", ReasonMalformed, StageStructure, flipTo(good, 1, 2))
	add("fields", "An envelope of five fields.", ReasonMalformed, StageStructure, append(flipTo(good, 0, 0x95), 0xc0))
	add("trailing", "A byte follows the envelope.", ReasonMalformed, StageStructure, append(bytes.Clone(good), 0))
	add("cut", "The last byte is missing.", ReasonMalformed, StageStructure, good[:len(good)-1])
	add("signature-63", "A signature of 63 bytes.", ReasonMalformed, StageStructure, append(append(bytes.Clone(good[:len(good)-66]), 0xc4, 63), good[len(good)-63:]...))
	add("signature-none", "A signed header with a signature of 0 bytes.", ReasonMalformed, StageStructure, append(bytes.Clone(good[:len(good)-66]), 0xc4, 0))
	add("unsigned", "An unsigned message where the task signs.", ReasonBadSignature, StageKey, with(func(*Header) {}, nil))
	add("stranger", "Signed with a key that is not listed.", ReasonUnknownMember, StageKey, with(func(*Header) {}, testSigner(t, 3)))
	add("revoked", "Signed with a key that is revoked.", ReasonUnknownMember, StageKey, with(func(*Header) {}, testSigner(t, 9)))
	add("role", "An update signed with the aggregator's key.", ReasonUnknownMember, StageKey, with(func(*Header) {}, testSigner(t, 1)))
	other := "acme/berlin/line-2/_fl_v1/quality/update"
	add("topic", "A good update, published again on another member's topic.", ReasonWrongTopic, StageTopic, good, func(v *vector) { v.topic = other })
	add("key-of-other", "A member speaks under its own key on another member's topic.", ReasonWrongTopic, StageSender,
		with(func(h *Header) { h.Topic, h.Sender = other, "acme/berlin/line-2" }, site), func(v *vector) { v.topic = other })
	add("topic-part", "An envelope on the topic of a model part.", ReasonWrongTopic, StageTopic,
		seal(t, header(t, KindModel), encode(t, Model{Version: 7, Tensors: testModel(t)}), nil),
		func(v *vector) { v.topic, v.signed = modelTopic+"/0/0", false })
	add("kind-of-topic", "A join in every field, on the topic of updates.", ReasonWrongTopic, StageSender,
		envelopeOf(encode(t, testJoin(t)), func(h *Header) { h.Topic = upTopic }, header(t, KindJoin)), unsigned)
	add("task-of-topic", "A header of another task than its topic.", ReasonWrongTopic, StageSender,
		envelopeOf(body, func(h *Header) { h.Task = "weld" }, header(t, KindUpdate)), unsigned)
	add("future", "An update for the round after the next.", ReasonFutureRound, StageRound, with(func(h *Header) { h.Round = 9 }, site))
	add("origin", "A good update of a former life of the task.", ReasonOtherOrigin, StageRound, good, func(v *vector) { v.origin = Nonce{1} })
	add("signature", "One bit of the signature is wrong.", ReasonBadSignature, StageSignature, flip(len(good)-1))
	add("header-changed", "One bit of the origin, which is signed, is wrong.", ReasonBadSignature, StageSignature, flip(lastOfHeader(t, good)))
	add("body-changed", "One bit of the body is wrong; the signature holds.", ReasonMalformed, StageHash, flip(len(good)-66-2))
	add("body-changed-unsigned", "The same where the task does not sign.", ReasonMalformed, StageHash, flip(len(good)-66-2), unsigned)
	add("body-length", "A header that claims another length of body.", ReasonMalformed, StageHash, envelopeOf(body, func(h *Header) { h.BodyLen++ }, header(t, KindUpdate)), unsigned)
	add("encoding", "An encoding this version does not know.", ReasonUnsupported, StageDecompress, envelopeOf(body, func(h *Header) { h.Encoding = "masked32" }, header(t, KindUpdate)), unsigned)
	add("encoding-order", "An order with an encoding.", ReasonMalformed, StageDecompress,
		envelopeOf(encode(t, testOrder()), func(h *Header) { h.Encoding = EncodingDense }, header(t, KindOrder)),
		func(v *vector) { v.topic, v.signed = orderTopic, false })
	add("plain-too-large", "A body of more plain bytes than the receiver's schema allows.", ReasonTooLarge, StageDecompress, good, func(v *vector) { v.maxBody = len(body) - 1 })
	return list
}

func flipTo(b []byte, at int, to byte) []byte {
	c := bytes.Clone(b)
	c[at] = to
	return c
}

// lastOfHeader is where the last byte of an envelope's header is.
func lastOfHeader(t *testing.T, envelope []byte) int {
	t.Helper()
	p, err := split(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Index(envelope, p.header) + len(p.header) - 1
}

// envelopeOf makes an unsigned envelope around a header that Seal refuses.
func envelopeOf(body []byte, change func(*Header), h Header) []byte {
	h.BodyHash, h.BodyLen = sha256.Sum256(body), uint64(len(body))
	change(&h)
	return rawEnvelope(appendHeader(nil, h), body)
}

func rawEnvelope(header, body []byte) []byte {
	return appendBin(appendBin(appendBin(appendUint(appendArray(nil, 4), Version), header), body), nil)
}

// headerCases are refused at step 2 for their header.
func headerCases(t *testing.T) []vector {
	t.Helper()
	body := encode(t, testJoin(t))
	var list []vector
	raw := func(name, comment string, head []byte) {
		list = append(list, vector{
			name: "header-bad-" + name, comment: comment, op: "open", topic: joinTopic,
			expect: ReasonMalformed, stage: StageStructure, data: rawEnvelope(head, body),
		})
	}
	with := func(name, comment string, change func(*Header)) {
		h := header(t, KindJoin)
		h.BodyHash, h.BodyLen = sha256.Sum256(body), uint64(len(body))
		change(&h)
		raw(name, comment, appendHeader(nil, h))
	}
	h := header(t, KindJoin)
	h.BodyHash, h.BodyLen = sha256.Sum256(body), uint64(len(body))
	good := appendHeader(nil, h)
	with("kind", "A kind this version does not know.", func(h *Header) { h.Kind = "offer" })
	with("suite", "Suite 2.", func(h *Header) { h.Suite = 2 })
	with("suite-no-kid", "Suite 1 without a key id.", func(h *Header) { h.Suite = 1 })
	with("kid-no-suite", "A key id without a suite.", func(h *Header) { h.KeyID = make([]byte, 8) })
	with("kid-7", "A key id of 7 bytes.", func(h *Header) { h.Suite, h.KeyID = 1, make([]byte, 7) })
	with("sender-201", "A sender of 201 bytes.", func(h *Header) { h.Sender = strings.Repeat("a", 201) })
	with("size", "A header of more than 1,024 bytes.", func(h *Header) { h.Topic = strings.Repeat("a", 1024) })
	raw("empty", "A header of 0 bytes.", nil)
	with("origin-absent", "A join that names no origin.", func(h *Header) { h.Origin = Nonce{} })
	raw("fields-15", "A header of 15 fields, without the origin.", append([]byte{0x9f}, good[3:len(good)-18]...))
	raw("origin-zeros", "An origin of 16 zeros: absent is a bin of 0 bytes.", bytes.Replace(good, appendFixed(nil, h.Origin[:]), appendBin(nil, make([]byte, 16)), 1))
	raw("trailing", "A byte follows the header.", append(bytes.Clone(good), 0))
	raw("int-long", "A suite of 0 written in two bytes.", append([]byte{0xdc, 0x00, 0x10, 0xcc, 0x00}, good[4:]...))
	raw("base-zeros", "A base of 32 zeros: absent is a bin of 0 bytes.", bytes.Replace(good, appendFixed(nil, h.Base[:]), appendBin(nil, make([]byte, 32)), 1))
	raw("hash-absent", "A body hash of 0 bytes.", bytes.Replace(good, appendBin(nil, h.BodyHash[:]), appendBin(nil, nil), 1))
	raw("task-bin", "A task that is a bin.", bytes.Replace(good, appendStr(nil, testTask), appendBin(nil, []byte(testTask)), 1))
	raw("task-utf8", "A task that is not UTF-8.", bytes.Replace(good, appendStr(nil, testTask), appendStr(nil, "qualit\xff"), 1))
	raw("nested", "A header with an array inside.", bytes.Replace(good, appendStr(nil, testTask), []byte{0x90}, 1))
	return list
}
