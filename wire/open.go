package wire

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"

	"github.com/fedmq/fedmq/topics"
)

const noHash = crypto.Hash(0) // pure Ed25519

// Opener verifies what arrives (W-14). Keys nil means that the task does not
// sign: steps 3 and 7 are skipped, and whether the sender is a member is left
// to the caller. Safe for concurrent use; it must not change once used.
type Opener struct {
	NS     topics.Namespace
	Keys   *Keys
	Owner  string // node of the task's owner, namespace included, which members' signatures are for
	Limits Limits

	trace func(stage int) // tests: called before each step
}

// Bound is what the receiver's state says about a message.
type Bound struct {
	MaxRound uint64 // members' messages: current round + 1; 0 = no bound
	MaxBody  int    // plain bytes of the body, from the schema: MaxUpdateBody; 0 = Limits.Plain
	Origin   Nonce  // of the task: a message of another one is refused (W-43); zero = any
}

// Open runs steps 1 to 10 of the verification order on a payload that arrived
// on a topic, and returns its header and its plain body, which may alias the
// payload. The error is a [*Refusal]; from StageKey on the header is returned
// with it, so that a round too high or too low can be answered. An empty
// payload means that a retained topic was cleared: ask before Open.
func (o *Opener) Open(topic string, payload []byte, bound Bound) (Header, []byte, error) {
	x := opening{o: o, topic: topic, payload: payload, bound: bound}
	for stage, step := range openSteps {
		if step == nil {
			continue
		}
		if o.trace != nil {
			o.trace(stage)
		}
		if err := step(&x); err != nil {
			return x.h, nil, err
		}
	}
	return x.h, x.body, nil
}

// openSteps is the verification order: index = stage. No message of this
// version is sealed, so step 9 has no work.
var openSteps = [...]func(*opening) error{
	StageSize:       (*opening).size,
	StageStructure:  (*opening).structure,
	StageKey:        (*opening).findKey,
	StageTopic:      (*opening).arrival,
	StageSender:     (*opening).sender,
	StageRound:      (*opening).round,
	StageSignature:  (*opening).signature,
	StageHash:       (*opening).hash,
	StageDecompress: (*opening).decompress,
}

// opening is one payload on its way through the steps.
type opening struct {
	o       *Opener
	topic   string
	payload []byte
	bound   Bound

	at    topics.Topic // the arrival topic, zero if it is none of the namespace
	atErr error
	parts parts
	h     Header
	info  kindInfo
	key   Key
	body  []byte
}

func (x *opening) size() error {
	x.at, x.atErr = x.o.NS.Parse(x.topic)
	if most := x.o.Limits.payload(x.at.Kind); len(x.payload) > most {
		return refuse(ReasonTooLarge, StageSize, "%d bytes on %s, want at most %d", len(x.payload), short(x.topic), most)
	}
	return nil
}

func (x *opening) structure() error {
	var err error
	x.parts, x.h, err = parse(x.payload)
	x.info, _ = kindOf(x.h.Kind)
	return err
}

func (x *opening) findKey() error {
	if x.o.Keys == nil {
		return nil
	}
	if x.h.Suite == suiteNone {
		return refuse(ReasonBadSignature, StageKey, "%s of %s is not signed, this task signs", x.h.Kind, short(x.h.Sender))
	}
	key, ok := x.o.Keys.Of([keyIDSize]byte(x.h.KeyID)) // a signed header has so many bytes
	switch kid := hex.EncodeToString(x.h.KeyID); {
	case !ok:
		return refuse(ReasonUnknownMember, StageKey, "key %s, said to be of %s, is not listed", kid, short(x.h.Sender))
	case key.Revoked:
		return refuse(ReasonUnknownMember, StageKey, "key %s of %s is revoked", kid, x.o.NS.Node(key.Path))
	case key.Role != x.info.role:
		return refuse(ReasonUnknownMember, StageKey, "key %s of %s is a key for role %v, a message of kind %s comes from role %v",
			kid, x.o.NS.Node(key.Path), key.Role, x.h.Kind, x.info.role)
	}
	x.key = key
	return nil
}

func (x *opening) arrival() error {
	if x.h.Topic != x.topic {
		return refuse(ReasonWrongTopic, StageTopic, "made for %s, arrived on %s", short(x.h.Topic), short(x.topic))
	}
	return nil
}

func (x *opening) sender() error {
	switch {
	case x.atErr != nil:
		return refuse(ReasonWrongTopic, StageSender, "%v", x.atErr)
	case x.at.Kind != x.info.topic || x.at.Task != x.h.Task:
		return refuse(ReasonWrongTopic, StageSender, "kind %s of task %s on %s", x.h.Kind, short(x.h.Task), short(x.topic))
	case x.o.NS.Node(x.at.Path) != x.h.Sender:
		return refuse(ReasonWrongTopic, StageSender, "sender %s on %s", short(x.h.Sender), short(x.topic))
	case x.o.Keys != nil && x.key.Path != x.at.Path:
		return refuse(ReasonWrongTopic, StageSender, "the key of %s speaks on %s", x.o.NS.Node(x.key.Path), short(x.topic))
	}
	return nil
}

func (x *opening) round() error {
	if o := x.bound.Origin; !o.IsZero() && x.h.Origin != o {
		return refuse(ReasonOtherOrigin, StageRound, "%s of %s is of the origin %q, want %s: it was made for a former life of the task", x.h.Kind, x.h.Sender, x.h.Origin, o)
	}
	if x.info.member && x.bound.MaxRound > 0 && x.h.Round > x.bound.MaxRound {
		return refuse(ReasonFutureRound, StageRound, "%s of %s is for round %d, want at most %d", x.h.Kind, x.h.Sender, x.h.Round, x.bound.MaxRound)
	}
	return nil
}

func (x *opening) signature() error {
	if x.o.Keys == nil {
		return nil
	}
	x.h.Owner = x.o.Owner
	if !ed25519.Verify(x.key.Public, preauth(x.h.Kind, x.parts.header, x.h.BodyHash[:], x.h.signedTo()), x.parts.signature) {
		why := ""
		if x.info.member {
			why = ", or is for another owner than " + short(x.o.Owner)
		}
		return refuse(ReasonBadSignature, StageSignature, "%s of %s: the signature does not hold%s", x.h.Kind, x.h.Sender, why)
	}
	return nil
}

func (x *opening) hash() error {
	x.body = x.parts.body
	if x.h.BodyLen != uint64(len(x.body)) {
		return refuse(ReasonMalformed, StageHash, "%s of %s: body of %d bytes, the header says %d", x.h.Kind, x.h.Sender, len(x.body), x.h.BodyLen)
	}
	if x.h.BodyHash != sha256.Sum256(x.body) {
		return refuse(ReasonMalformed, StageHash, "%s of %s: the body's hash is not the header's", x.h.Kind, x.h.Sender)
	}
	return nil
}

func (x *opening) decompress() error {
	switch {
	case x.info.encodingOK(x.h.Encoding):
	case x.info.tensors:
		return refuse(ReasonUnsupported, StageDecompress, "%s of %s: this version lacks the encoding %s", x.h.Kind, x.h.Sender, short(x.h.Encoding))
	default:
		return refuse(ReasonMalformed, StageDecompress, "%s of %s: a body without tensors has no encoding, not %s", x.h.Kind, x.h.Sender, short(x.h.Encoding))
	}
	var err error
	x.body, err = plain(x.h.Encoding, x.body, orDefault(x.bound.MaxBody, x.o.Limits.plain()))
	return err
}

// plain returns the body before encoding, at most limit bytes.
func plain(encoding string, body []byte, limit int) ([]byte, error) {
	if encoding == EncodingDenseZstd {
		return decompress(body, limit)
	}
	if len(body) > limit {
		return nil, refuse(ReasonTooLarge, StageDecompress, "body of %d bytes, want at most %d", len(body), limit)
	}
	return body, nil
}
