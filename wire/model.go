package wire

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

const tagInline = "inline"

// MaxFilters is the most filters that a canary has.
const MaxFilters = 16

// Model is the global model inline (W-27). Its header carries the content id
// as Base, the version as Round, and the schema hash.
type Model struct {
	Version uint64 // number of the record that committed it
	Tensors *model.Model
	ModelMembers
}

// ModelMembers are those of a [Model] and of a [Manifest] (W-48); of them this
// version uses the contract.
type ModelMembers struct {
	ContentKind string          `json:"content_kind,omitempty"` // what the content id is of, other than the hash of the blob
	Contract    json.RawMessage `json:"contract,omitempty"`     // of the task, canonical JSON (W-51); nil: not known
	State       model.Hash      `json:"state,omitzero"`         // content id of what strategy and server optimiser keep
	Strategy    string          `json:"strategy,omitempty"`     // by which it was made
	BeganMS     uint64          `json:"began_ms,omitempty"`     // of a canary: since when it is one
	To          []string        `json:"to,omitempty"`           // of a canary: filters of the paths that obey it
}

func modelMembers(m *ModelMembers) []member {
	return []member{
		{"?contract", true, contractOf{&m.Contract}},
		{"began_ms", true, numberOf{&m.BeganMS}},
		{"content", false, textOf{&m.ContentKind, maxEncoding}},
		{"state", false, hashOf{&m.State}},
		{"strategy", false, textOf{&m.Strategy, maxWord}},
		{"to", true, textsOf{&m.To, MaxFilters, topics.MaxNode}},
	}
}

func (m ModelMembers) members() []member { return modelMembers(&m) }

const modelFields = 6

func (m Model) check() error { return checkTensors(m.Tensors) }

func (m Model) appendTo(b []byte) []byte {
	s, blob := tensors(m.Tensors)
	b = slices.Grow(b, 64+64*len(s)+len(blob))
	b = appendStr(appendArray(b, modelFields), tagInline)
	b = appendUint(b, m.Version)
	b = appendTable(b, s)
	b = appendRules(b, s)
	return appendMembers(appendBin(b, blob), m.members())
}

// appendRules writes one rule for each row.
func appendRules(b []byte, s model.Schema) []byte {
	b = appendArray(b, len(s))
	for _, spec := range s {
		b = appendStr(b, spec.Rule.String())
	}
	return b
}

// DecodeModel reads the body of a model: a [Model] or a [Manifest]. Blob and
// hashes alias the body. Of the limits it uses the plain size. The error is a
// [*Refusal]; the caller goes on with Matches. With ReasonUnsupported the model
// may be returned, as far as this version knows it.
func DecodeModel(body []byte, lim Limits) (Distribution, error) {
	if most := lim.plain(); len(body) > most {
		return nil, refuse(ReasonTooLarge, StageScan, "model of %d bytes, want at most %d", len(body), most)
	}
	return decodeModel(body)
}

func decodeModel(body []byte) (Distribution, error) {
	r := open(body, "model", ScanLimits{Items: MaxTableItems})
	n := r.count("fields", MaxItems)
	switch tag := r.word("tag"); {
	case r.err != nil:
		return nil, r.err
	case tag == tagInline && n == modelFields:
		return decodeInlineModel(r)
	case tag == tagManifest && n == manifestFields:
		return decodeManifest(r)
	default:
		return nil, badForm("model", tag, n, tagInline, tagManifest)
	}
}

func decodeInlineModel(r *reader) (Distribution, error) {
	m := Model{Version: r.uint64("version")}
	t := table{any: true}
	t.read(r)
	t.rules(r)
	blob := t.blob(r)
	r.members(modelMembers(&m.ModelMembers))
	schema := t.schema(r)
	if err := r.close(); err != nil {
		return nil, err
	}
	m.Tensors = &model.Model{Schema: schema, Blob: blob}
	return m, r.lacking()
}

// rules reads one rule for each row.
func (t *table) rules(r *reader) {
	r.array("rules", len(t.specs))
	for i := 0; i < len(t.specs) && r.err == nil; i++ {
		name := r.word("rule")
		rule, err := model.ParseRule(name)
		if err != nil && r.err == nil {
			r.refuse(ReasonUnsupported, r.stage, "this version lacks the rule %s, which tensor %s has", name, short(t.specs[i].Name))
		}
		t.specs[i].Rule = rule
	}
}

// Matches checks what a header claims about a model (W-23): its content id,
// its schema and its version. It hashes the blob once. The error is a
// [*Refusal] at StageSchema.
func (m Model) Matches(h Header) error {
	if got := m.Tensors.Schema.Hash(); got != h.Schema {
		return refuse(ReasonSchemaMismatch, StageSchema, "model: schema %v, the header says %v", got, h.Schema)
	}
	if got := m.Tensors.ContentID(); got != h.Base {
		if h.Base == sha256.Sum256(m.Tensors.Blob) {
			return refuse(ReasonWrongBase, StageSchema, "model: the header has plain SHA-256 as content id, as an older fedmq does; both sides want the same version")
		}
		return refuse(ReasonWrongBase, StageSchema, "model: content %v, the header says %v", got, h.Base)
	}
	if m.Version != h.Round {
		return refuse(ReasonMalformed, StageSchema, "model: version %d, the header says %d", m.Version, h.Round)
	}
	return nil
}

// Most bytes that the parts of a body take besides table and blob.
const (
	maxMetrics    = 256
	maxNamed      = 64 // of them that are no counts of classes
	maxMetricName = 64
	bodyFrame     = 1 + 8 + 9 + 5 + 1 // array, tag, number, head of the blob, no members
	maxCount      = len("confusion.99999.99999")
	metricsFrame  = 3 + maxNamed*(1+2+maxMetricName+9) + (maxMetrics-maxNamed)*(1+1+maxCount+9) // all metrics, longest names
	ruleSize      = 5
)

// MaxUpdateBody is the most bytes that the plain body of an update that carries this
// schema can have, inline or its offer; 0 tensors for a decline or an evaluation: the
// Bound of an [Opener.Open]. No reader of a model knows its schema before it opens it.
func MaxUpdateBody(s model.Schema) int {
	return membersRoom + maxCounts + bodyFrame + metricsFrame + len(appendTable(nil, s)) + blobOrCut(s.Bytes())
}

// blobOrCut is the most bytes of a blob, or of what stands for it.
func blobOrCut(size int) int {
	if size == 0 {
		return 0
	}
	return max(size, cutFrame+hashesOf(size))
}
