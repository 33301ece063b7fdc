package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/fedmq/fedmq/model"
)

// Inspection is a message for people; it marshals to JSON. What could not be
// read is absent, and Problem says why.
type Inspection struct {
	Format    string          `json:"format"` // "fedmq", "json", "empty" or "unknown"
	Bytes     int             `json:"bytes"`
	Header    *HeaderView     `json:"header,omitempty"`
	Signature string          `json:"signature,omitempty"` // "none", or "ed25519, not checked"
	Form      string          `json:"form,omitempty"`      // of the body: "inline", "offer", "welcome" ...; "part", which has no header
	Body      any             `json:"body,omitempty"`
	Tensors   []TensorView    `json:"tensors,omitempty"`
	JSON      json.RawMessage `json:"json,omitempty"` // of a JSON topic, as it is
	Problem   *Refusal        `json:"problem,omitempty"`
}

// HeaderView is a Header for people.
type HeaderView struct {
	Suite     uint8      `json:"suite"`
	KeyID     string     `json:"kid"`
	Task      string     `json:"task"`
	Epoch     uint64     `json:"epoch"`
	Kind      string     `json:"kind"`
	Round     uint64     `json:"round"`
	Attempt   uint32     `json:"attempt"`
	Sender    string     `json:"sender"`
	Topic     string     `json:"topic"`
	Base      model.Hash `json:"base"`
	BodyHash  model.Hash `json:"body_hash"`
	BodyLen   uint64     `json:"body_len"`
	Encoding  string     `json:"encoding"`
	Schema    model.Hash `json:"schema"`
	CreatedMS uint64     `json:"created_ms"`
	Origin    Nonce      `json:"origin"`
}

// ModelView is the body of a model without its tensors.
type ModelView struct {
	Version uint64     `json:"version"`
	Content model.Hash `json:"content"`
	Schema  model.Hash `json:"schema"`
	ModelMembers
}

// UpdateView is the body of an update without its tensors.
type UpdateView struct {
	Samples uint64             `json:"samples"`
	Metrics map[string]float64 `json:"metrics"`
	Content model.Hash         `json:"content"`
	UpdateMembers
}

// Inspect decodes one message of any kind, signed or not, without keys, as far
// as it goes: the result is never nil, and with an error, a [*Refusal], it
// holds what could be read before. It checks structure and hashes, never a
// signature, and never panics. A JSON payload is passed through.
func Inspect(payload []byte) (*Inspection, error) {
	in := &Inspection{Format: "fedmq", Bytes: len(payload)}
	if len(payload) == 0 {
		in.Format = "empty"
		return in, nil
	}
	if payload[0] == '{' && json.Valid(payload) {
		in.Format, in.JSON = "json", payload
		return in, nil
	}
	var err error
	if IsPart(payload) {
		err = in.readPart(payload)
	} else if err = in.read(payload); err != nil && in.Header == nil && payload[0] != 0x94 {
		in.Format = "unknown"
	}
	errors.As(err, &in.Problem)
	return in, err
}

// read goes through the steps that need no keys and no topic.
func (in *Inspection) read(payload []byte) error {
	p, _ := split(payload) // an envelope that was cut off may still have its header
	h, err := decodeHeader(p.header)
	if err == nil {
		in.Header = h.view()
	}
	if p, h, err = parse(payload); err != nil {
		return err
	}
	in.Signature = "none"
	if len(p.signature) > 0 {
		in.Signature = "ed25519, not checked"
	}
	body, err := plain(h.Encoding, p.body, maxInspect)
	if err == nil {
		err = in.readBody(h, body)
	}
	// A wrong hash is the first fault, but the body may still be worth seeing.
	if h.BodyLen != uint64(len(p.body)) || h.BodyHash != sha256.Sum256(p.body) {
		return refuse(ReasonMalformed, StageHash, "body of %d bytes with hash %x, the header says %d and %x",
			len(p.body), sha256.Sum256(p.body), h.BodyLen, h.BodyHash)
	}
	return err
}

// maxInspect is the most plain bytes that Inspect unpacks.
const maxInspect = 64 << 20

func (in *Inspection) readBody(h Header, body []byte) error {
	switch h.Kind {
	case KindOrder:
		o, err := DecodeOrder(body)
		return in.show("", o, err)
	case KindJoin:
		j, err := DecodeJoin(body)
		return in.show("", j, err)
	case KindReply:
		reply, err := DecodeReply(body)
		if reply == nil {
			return err
		}
		return in.show(reply.reply(), reply, err)
	case KindNeed:
		n, err := DecodeNeed(body)
		return in.show("", n, err)
	case KindModel, KindReleased, KindCanary:
		return in.readModel(h, body)
	default:
		return in.readUpdate(body)
	}
}

// show keeps a body that could be read.
func (in *Inspection) show(form string, body any, err error) error {
	if err == nil || Unsupported(err) != "" {
		in.Form, in.Body = form, body
	}
	return err
}

func (h Header) view() *HeaderView {
	return &HeaderView{
		Suite: h.Suite, KeyID: hex.EncodeToString(h.KeyID), Task: h.Task, Epoch: h.Epoch, Kind: h.Kind,
		Round: h.Round, Attempt: h.Attempt, Sender: h.Sender, Topic: h.Topic, Base: h.Base, BodyHash: h.BodyHash,
		BodyLen: h.BodyLen, Encoding: h.Encoding, Schema: h.Schema, CreatedMS: h.CreatedMS, Origin: h.Origin,
	}
}
