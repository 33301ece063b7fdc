package wire

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Distribution is what an owner publishes as its model: a [Model], inline, or
// a [Manifest].
type Distribution interface {
	Message
	// Matches checks what a header claims about it (W-23).
	Matches(h Header) error
	distribution()
}

// Manifest is the global model in parts (W-36): the retained topics of Slot
// hold them. Its header is that of an inline model; that the parts make the
// content which the header names is known when all are there.
type Manifest struct {
	Version uint64       // number of the record that committed it
	Schema  model.Schema // with rules
	Slot    uint32       // below topics.MaxSlots
	Blob    Blob         // of Schema.Bytes() bytes
	ModelMembers
}

const (
	tagManifest    = "manifest"
	manifestFields = 8
)

func (Model) distribution()    {}
func (Manifest) distribution() {}

func (m Manifest) check() error {
	if m.Slot >= topics.MaxSlots {
		return fmt.Errorf("slot: want at most %d, got %d", topics.MaxSlots-1, m.Slot)
	}
	return cmp.Or(checkSchema(m.Schema), m.Blob.ofSchema(m.Schema.Bytes()))
}

func (m Manifest) appendTo(b []byte) []byte {
	b = slices.Grow(b, 64+64*len(m.Schema)+len(m.Blob.Hashes))
	b = appendStr(appendArray(b, manifestFields), tagManifest)
	b = appendUint(b, m.Version)
	b = appendTable(b, m.Schema)
	b = appendRules(b, m.Schema)
	b = appendUint(b, uint64(m.Slot))
	return appendMembers(m.Blob.appendCut(b), m.members())
}

func decodeManifest(r *reader) (Distribution, error) {
	m := Manifest{Version: r.uint64("version")}
	t := table{any: true}
	t.read(r)
	t.rules(r)
	m.Slot = uint32(r.uint("slot", topics.MaxSlots-1)) // at most MaxSlots
	m.Blob = r.cut(t.size)
	r.members(modelMembers(&m.ModelMembers))
	m.Schema = t.schema(r)
	if err := r.close(); err != nil {
		return nil, err
	}
	return m, r.lacking()
}

// Matches checks what a header claims about the model (W-23), but for its
// content id, which only all the parts show. The error is a [*Refusal] at
// StageSchema.
func (m Manifest) Matches(h Header) error {
	if got := m.Schema.Hash(); got != h.Schema {
		return refuse(ReasonSchemaMismatch, StageSchema, "model: schema %v, the header says %v", got, h.Schema)
	}
	if h.Base == (model.Hash{}) {
		return refuse(ReasonWrongBase, StageSchema, "model: the header has no content id")
	}
	if m.Version != h.Round {
		return refuse(ReasonMalformed, StageSchema, "model: version %d, the header says %d", m.Version, h.Round)
	}
	return nil
}

// Most bytes of a message that are neither table nor hashes.
const (
	envelopeFrame = 1 + 1 + 3 + MaxHeader + 5 + 2 + signatureSize
	cutFrame      = 1 + 34 + 5 + 5 // slot, content id, data, head of the hashes
	usualMetrics  = 1 << 10        // what CheckParts leaves for an offer's metrics
)

// hashesOf is the most bytes that the hashes of a blob have, at any part size.
func hashesOf(size int) int {
	return PartHash * min(size/model.Leaf+1, topics.MaxParts)
}

// frameOf is the most bytes that a manifest or an offer of this schema has
// besides its hashes.
func frameOf(s model.Schema) int {
	return envelopeFrame + bodyFrame + len(tagManifest) + len(appendTable(nil, s)) + cutFrame + max(3+ruleSize*len(s), usualMetrics)
}

// CheckParts reports why a model of this schema, and updates of it, cannot
// travel at a part size: a manifest and an offer must fit one message, and
// there are at most topics.MaxParts parts (W-39). The error names the part
// size that would do.
func CheckParts(s model.Schema, partSize int) error {
	if partSize < MinPart || partSize > MaxPart {
		return fmt.Errorf("wire: part_size: want %d to %d, got %d", MinPart, MaxPart, partSize)
	}
	if s.Bytes() == 0 || fitsParts(s.Bytes(), frameOf(s), partSize) {
		return nil
	}
	least := MinPart
	for least < MaxPart && !fitsParts(s.Bytes(), frameOf(s), least) {
		least *= 2
	}
	if !fitsParts(s.Bytes(), frameOf(s), least) {
		return fmt.Errorf("wire: a model of %d bytes and %d tensors cannot travel at any part_size: the most is %d parts of %d bytes",
			s.Bytes(), len(s), topics.MaxParts, MaxPart)
	}
	return fmt.Errorf("wire: part_size: a model of %d bytes and %d tensors wants a larger one than %d: %d will do", s.Bytes(), len(s), partSize, least)
}

func fitsParts(size, frame, partSize int) bool {
	n, err := Blob{Length: uint64(size), Data: uint32(PartData(partSize))}.parts() // both are positive
	return err == nil && frame+PartHash*n <= partSize
}
