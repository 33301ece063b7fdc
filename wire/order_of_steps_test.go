package wire

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// faults is a set of stages at which a message is wrong.
type faults uint16

func (f faults) has(stage int) bool { return f>>stage&1 != 0 }

// wrong builds an update that is wrong at every stage of f, and at no other.
func wrong(t *testing.T, f faults) (payload []byte, o *Opener, bound Bound) {
	t.Helper()
	body := wrongBody(f)
	h := header(t, KindUpdate)
	signer := testSigner(t, 2)
	h.Suite, h.KeyID = suiteOne, signer.KeyID()
	if f.has(StageKey) {
		h.KeyID = testSigner(t, 3).KeyID()
	}
	if f.has(StageTopic) {
		h.Topic = "acme/berlin/line-2/_fl_v1/quality/update"
	}
	if f.has(StageSender) {
		h.Sender = "acme/berlin/line-2"
	}
	if f.has(StageRound) {
		h.Round = 9
	}
	if f.has(StageDecompress) {
		h.Encoding = "masked96"
	}
	h.BodyHash, h.BodyLen = sha256.Sum256(body), uint64(len(body))
	if f.has(StageHash) {
		h.BodyHash[0] ^= 1 // claimed and signed, but not the body's
	}
	head := appendHeader(nil, h)
	sig, err := signer.Sign(nil, preauth(h.Kind, head, h.BodyHash[:], h.signedTo()), noHash)
	if err != nil {
		t.Fatal(err)
	}
	if f.has(StageSignature) {
		sig[0] ^= 1
	}
	version := uint64(Version)
	if f.has(StageStructure) {
		version = 2
	}
	payload = appendBin(appendBin(appendBin(appendUint(appendArray(nil, 4), version), head), body), sig)
	o = &Opener{NS: testNamespace(t), Keys: testKeys(t), Owner: aggNode}
	if f.has(StageSize) {
		o.Limits.Part = len(payload) - 1
	}
	return payload, o, Bound{MaxRound: 8}
}

// wrongBody builds the body: 11 bytes follow it, 12 an offset is off, 13 the
// tensor has another name.
func wrongBody(f faults) []byte {
	name, offset := "w", uint64(0)
	if f.has(StageSchema) {
		name = "v"
	}
	if f.has(StageDecode) {
		offset = 1
	}
	b := appendStr(appendArray(nil, 6), tagInline)
	b = appendUint(b, 10)
	b = appendArray(b, 0)
	b = appendStr(appendArray(appendArray(b, 1), 5), name)
	b = appendUint(appendArray(appendStr(b, "f32"), 1), 1)
	b = appendUint(appendUint(b, offset), 4)
	b = appendMap(appendBin(b, []byte{0, 0, 0x80, 0x3f}), 0)
	if f.has(StageScan) {
		b = append(b, 0xc0)
	}
	return b
}

// TestOrderOfSteps goes through every combination of faults: a message that is
// wrong in many ways is refused at the first step that sees one of them, and
// no later step has run.
func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	stages := []int{
		StageSize, StageStructure, StageKey, StageTopic, StageSender, StageRound, StageSignature, StageHash,
		StageDecompress, StageScan, StageDecode, StageSchema,
	}
	reasons := map[int]string{
		StageSize: ReasonTooLarge, StageStructure: ReasonMalformed, StageKey: ReasonUnknownMember,
		StageTopic: ReasonWrongTopic, StageSender: ReasonWrongTopic, StageRound: ReasonFutureRound,
		StageSignature: ReasonBadSignature, StageHash: ReasonMalformed, StageDecompress: ReasonUnsupported,
		StageScan: ReasonMalformed, StageDecode: ReasonMalformed, StageSchema: ReasonSchemaMismatch,
	}
	want, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	for set := range 1 << len(stages) {
		var f faults
		firstFault := 0
		for i := len(stages) - 1; i >= 0; i-- {
			if set>>i&1 != 0 {
				f |= 1 << stages[i]
				firstFault = stages[i]
			}
		}
		payload, o, bound := wrong(t, f)
		var ran []int
		o.trace = func(stage int) { ran = append(ran, stage) }
		_, body, err := o.Open(upTopic, payload, bound)
		if err == nil {
			_, err = DecodeUpdate(body, want)
		}
		if firstFault == 0 {
			if err != nil {
				t.Fatalf("no fault: %v", err)
			}
			continue
		}
		r := refusalOf(t, err, reasons[firstFault], firstFault)
		var expect []int
		for _, s := range stages {
			if s <= min(r.Stage, StageDecompress) {
				expect = append(expect, s)
			}
		}
		if !slices.Equal(ran, expect) {
			t.Fatalf("faults %016b: steps %v ran, want %v", f, ran, expect)
		}
		if got := r.Authenticated(); got != (firstFault > 7) {
			t.Fatalf("%v: authenticated is %v", r, got)
		}
	}
}

// An unsigned task has no steps 3 and 7, and all the others.
func TestOrderOfStepsUnsigned(t *testing.T) {
	t.Parallel()
	for _, stage := range []int{StageKey, StageSignature} {
		payload, o, bound := wrong(t, 1<<stage)
		o.Keys = nil
		if _, _, err := o.Open(upTopic, payload, bound); err != nil {
			t.Errorf("fault at stage %d: %v", stage, err)
		}
	}
	for _, stage := range []int{StageSize, StageStructure, StageTopic, StageSender, StageRound, StageHash, StageDecompress} {
		payload, o, bound := wrong(t, 1<<stage)
		o.Keys = nil
		_, _, err := o.Open(upTopic, payload, bound)
		if r := new(Refusal); !errors.As(err, &r) || r.Stage != stage {
			t.Errorf("fault at stage %d: %v", stage, err)
		}
	}
}
