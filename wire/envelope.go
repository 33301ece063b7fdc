package wire

import (
	"crypto/sha256"
	"fmt"

	"github.com/fedmq/fedmq/internal/zframe"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// parts of an envelope as they travel; all alias the payload.
type parts struct{ header, body, signature []byte }

// split takes an envelope apart: array of 4, version, three bins, nothing else
// (W-5, W-6).
func split(payload []byte) (parts, error) {
	r := &reader{b: payload, stage: StageStructure, what: "envelope"}
	if len(payload) == 0 {
		r.malformed("empty payload: the topic was cleared")
	}
	r.array("fields", 4)
	if v := r.uint64("version"); r.err == nil && v != Version {
		r.malformed("version %d, want %d", v, Version)
	}
	var p parts
	p.header = r.bin("header")
	if len(p.header) > MaxHeader {
		r.malformed("header of %d bytes, want at most %d", len(p.header), MaxHeader)
	}
	p.body = r.bin("body")
	p.signature = r.bin("signature", signatureSize, 0)
	return p, r.close()
}

// parse is step 2: the envelope, its header, and that suite and signature
// belong together.
func parse(payload []byte) (parts, Header, error) {
	p, err := split(payload)
	if err != nil {
		return p, Header{}, err
	}
	h, err := decodeHeader(p.header)
	if err != nil {
		return p, Header{}, err
	}
	if signed := h.Suite != suiteNone; signed != (len(p.signature) == signatureSize) {
		return p, h, refuse(ReasonMalformed, StageStructure, "envelope: suite %d with a signature of %d bytes", h.Suite, len(p.signature))
	}
	return p, h, nil
}

// Seal makes the envelope of a plain body, and compresses the body when the
// header's encoding says so. It fills Suite, KeyID, BodyHash and BodyLen; the
// caller fills the rest. With a nil signer the message is unsigned. An error
// means that the header's own fields contradict each other, a bug of the
// caller: no receiver would accept the message. The body may be reused.
func Seal(h Header, body []byte, s *Signer) ([]byte, error) {
	info, ok := kindOf(h.Kind)
	switch {
	case !ok:
		return nil, fmt.Errorf("wire: seal: unknown kind %s", short(h.Kind))
	case topics.CheckTask(h.Task) != nil:
		return nil, fmt.Errorf("wire: seal %s: %w", h.Kind, topics.CheckTask(h.Task))
	case !h.topicOK():
		return nil, fmt.Errorf("wire: seal %s: topic %s is not of sender %s and task %s", h.Kind, short(h.Topic), short(h.Sender), h.Task)
	case s != nil && info.member && h.Owner == "":
		return nil, fmt.Errorf("wire: seal %s: the owner it is for is missing", h.Kind)
	case !info.originOK(h.Origin):
		return nil, fmt.Errorf("wire: seal %s: the origin of the task is missing", h.Kind)
	case !info.encodingOK(h.Encoding):
		return nil, fmt.Errorf("wire: seal %s: encoding %s", h.Kind, short(h.Encoding))
	}
	if h.Encoding == EncodingDenseZstd {
		var err error
		if body, err = zframe.Compress(body); err != nil {
			return nil, fmt.Errorf("wire: seal %s: %w", h.Kind, err)
		}
	}
	h.Suite, h.KeyID = suiteNone, nil
	if s != nil {
		h.Suite, h.KeyID = suiteOne, s.KeyID()
	}
	h.BodyLen = uint64(len(body))
	h.BodyHash = sha256.Sum256(body)
	header := appendHeader(make([]byte, 0, MaxHeader), h)
	if _, err := decodeHeader(header); err != nil || len(header) > MaxHeader {
		return nil, fmt.Errorf("wire: seal %s: header of %d bytes: %w", h.Kind, len(header), err)
	}
	out := make([]byte, 0, len(header)+len(body)+signatureSize+12)
	out = appendUint(appendArray(out, 4), Version)
	out = appendBin(out, header)
	out = appendBin(out, body)
	if s == nil {
		return appendBin(out, nil), nil
	}
	sig, err := s.Sign(nil, preauth(h.Kind, header, h.BodyHash[:], h.signedTo()), noHash)
	if err != nil {
		return nil, fmt.Errorf("wire: seal %s: %w", h.Kind, err)
	}
	return appendBin(out, sig), nil
}

// SignedHash returns the SHA-256 of the bytes that an owner's message signs, or
// would sign (W-12): the hash by which an order is named in records and by members
// comparing what they were sent. It checks the structure, not the signature.
func SignedHash(payload []byte) (model.Hash, error) {
	p, h, err := parse(payload)
	if err != nil {
		return model.Hash{}, err
	}
	return sha256.Sum256(preauth(h.Kind, p.header, h.BodyHash[:], "")), nil
}
