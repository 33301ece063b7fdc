package wire

import (
	"bytes"
	"path"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// MaxHeader is the most bytes a header may have (W-7).
const MaxHeader = 1024

const (
	headerFields  = 16
	suiteNone     = 0 // not signed
	suiteOne      = 1 // Ed25519
	keyIDSize     = 8
	signatureSize = 64
	maxTopic      = 512 // node 200, marker, task 64, leaf, member path 200
	maxEncoding   = 32
	maxKind       = 32
)

// Header says what a body is and who sends it where (W-7). [Seal] fills Suite,
// KeyID, BodyHash and BodyLen; what a kind does not use is zero.
type Header struct {
	Suite     uint8      // 0 unsigned, 1 Ed25519
	KeyID     []byte     // 8 bytes, none if unsigned
	Task      string     // as in the topic
	Epoch     uint64     // aggregator start; of the order answered in a member's message
	Kind      string     // the topic's leaf
	Round     uint64     // of the order; of a model: its version
	Attempt   uint32     // of the order
	Sender    string     // full node, namespace included
	Topic     string     // where it is published
	Base      model.Hash // order, update: the base model; model: this model; zero = absent
	BodyHash  [32]byte   // SHA-256 of the body as sent
	BodyLen   uint64     // its bytes
	Encoding  string     // "dense" or "dense+zstd"; "" for kinds without tensors
	Schema    model.Hash // of the global model's schema; zero = absent
	CreatedMS uint64     // milliseconds; in a join a counter
	Origin    Nonce      // of the task, drawn when it began; zero = absent, in a model only

	// Owner is the node, namespace included, of the task's owner. It is not sent:
	// a member's message signs it, since its topic does not name it (W-11).
	Owner string
}

// signedTo is the node that a signature is for beside what the header says.
func (h Header) signedTo() string {
	if info, _ := kindOf(h.Kind); info.member {
		return h.Owner
	}
	return "" // the sender is the owner
}

// appendHeader writes the canonical form.
func appendHeader(b []byte, h Header) []byte {
	b = appendArray(b, headerFields)
	b = appendUint(b, uint64(h.Suite))
	b = appendBin(b, h.KeyID)
	b = appendStr(b, h.Task)
	b = appendUint(b, h.Epoch)
	b = appendStr(b, h.Kind)
	b = appendUint(b, h.Round)
	b = appendUint(b, uint64(h.Attempt))
	b = appendStr(b, h.Sender)
	b = appendStr(b, h.Topic)
	b = appendFixed(b, h.Base[:])
	b = appendBin(b, h.BodyHash[:])
	b = appendUint(b, h.BodyLen)
	b = appendStr(b, h.Encoding)
	b = appendFixed(b, h.Schema[:])
	b = appendUint(b, h.CreatedMS)
	return appendFixed(b, h.Origin[:])
}

// decodeHeader reads a header and refuses one that would not be written with
// the same bytes (W-8).
func decodeHeader(b []byte) (Header, error) {
	r := &reader{b: b, stage: StageStructure, what: "header"}
	if bad, at := scan(b, ScanLimits{Depth: 1, Items: headerFields + 1}); bad != "" {
		r.malformed("%s, at byte %d of %d", bad, at, len(b))
	}
	var h Header
	r.array("fields", headerFields)
	h.Suite = uint8(r.uint("suite", suiteOne)) // at most 1
	h.KeyID = r.bin("kid", keyIDSize, 0)
	h.Task = r.str("task", topics.MaxLevel)
	h.Epoch = r.uint64("epoch")
	h.Kind = r.str("kind", maxKind)
	h.Round = r.uint64("round")
	h.Attempt = r.uint32("attempt")
	h.Sender = r.str("sender", topics.MaxNode)
	h.Topic = r.str("topic", maxTopic)
	r.fixed("base", h.Base[:], true)
	r.fixed("body_hash", h.BodyHash[:], false)
	h.BodyLen = r.uint64("body_len")
	h.Encoding = r.str("encoding", maxEncoding)
	r.fixed("schema", h.Schema[:], true)
	h.CreatedMS = r.uint64("created_ms")
	r.fixed("origin", h.Origin[:], true)
	if info, ok := kindOf(h.Kind); !ok {
		r.malformed("kind: %s is not a kind of this version", short(h.Kind))
	} else if !info.originOK(h.Origin) {
		r.malformed("origin: absent in %s", h.Kind)
	}
	if signed := h.Suite != suiteNone; signed != (len(h.KeyID) == keyIDSize) {
		r.malformed("suite %d with a kid of %d bytes", h.Suite, len(h.KeyID))
	}
	if err := r.close(); err != nil {
		return Header{}, err
	}
	if len(h.KeyID) == 0 {
		h.KeyID = nil
	}
	var buf [MaxHeader]byte
	if !bytes.Equal(appendHeader(buf[:0], h), b) {
		return Header{}, refuse(ReasonMalformed, StageStructure, "header: not in canonical form")
	}
	return h, nil
}

// topicOK reports whether a topic is the one that a header's own fields give:
// sender, marker, task and kind, and for a reply the member path after it. Bulk may
// have a root in place of the sender's namespace (T-21): the header does not tell it from
// the path, but a member's path ends alike. The receiver knows more (step 5).
func (h Header) topicOK() bool {
	leaf := "/" + topics.Marker + "/" + h.Task + "/" + h.Kind
	if info, _ := kindOf(h.Kind); info.topic.Bulk() {
		node, ok := strings.CutSuffix(h.Topic, leaf)
		return ok && node != "" && (!info.member || path.Base(node) == path.Base(h.Sender))
	}
	rest, ok := strings.CutPrefix(h.Topic, h.Sender+leaf)
	if !ok {
		return false
	}
	if h.Kind == KindReply {
		return len(rest) > 1 && rest[0] == '/'
	}
	return rest == ""
}
