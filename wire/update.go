package wire

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/model"
)

// Contribution is what a site answers to an order: an [Update], an [Offer] or a
// [Decline].
type Contribution interface {
	Message
	contribution()
}

// Update is a site's contribution, inline (W-29).
type Update struct {
	Samples uint64             // rows behind it, before any cap
	Metrics map[string]float64 // sums over rows; finite, at most 256, at most 64 of them no counts of classes (W-32)
	Tensors *model.Model       // the delta (train) or values (statistics); nil for none (evaluate). With an Encoding its Blob has the encoded bytes
	UpdateMembers
}

// UpdateMembers are those of an [Update] and of an [Offer] (W-47). This version uses the
// counts of classes, the encoding and the scalars.
type UpdateMembers struct {
	Counts      Counts             `json:"counts,omitempty"`       // of the rows of a classifier, by class and probability
	ContentKind string             `json:"content_kind,omitempty"` // what the content id is of, other than the hash of the blob
	Encoding    string             `json:"encoding,omitempty"`     // of the blob, other than dense f32
	Length      uint64             `json:"length,omitempty"`       // bytes of the blob of an [Offer] with an encoding
	Policy      model.Hash         `json:"policy,omitzero"`        // hash of the site's policy
	Scalars     map[string]float64 `json:"scalars,omitempty"`      // that are folded with the tensors
}

func updateMembers(u *UpdateMembers) []member {
	return []member{
		{"content", false, textOf{&u.ContentKind, maxEncoding}},
		{"counts", true, countsOf{&u.Counts}},
		{"encoding", true, textOf{&u.Encoding, maxEncoding}},
		{"length", true, numberOf{&u.Length}},
		{"policy", false, hashOf{&u.Policy}},
		{"scalars", true, numbersOf{&u.Scalars}},
	}
}

func (u UpdateMembers) members() []member { return updateMembers(&u) }

// Decline says that a site does not take part in an attempt, and why (W-31).
type Decline struct {
	Reason string `json:"reason"` // a word
	Detail string `json:"detail"` // for people, at most 256 bytes
}

const (
	updateFields  = 6
	declineFields = 4
	tagDecline    = "decline"
)

func (Update) contribution()  {}
func (Decline) contribution() {}

func (u Update) check() error {
	if u.Encoding != "" && u.Tensors != nil {
		return cmp.Or(checkMetrics(u.Metrics), checkSchema(u.Tensors.Schema), u.checkEncoded(u.Tensors.Schema.Bytes(), len(u.Tensors.Blob), 0))
	}
	return cmp.Or(checkMetrics(u.Metrics), checkTensors(u.Tensors), u.checkEncoded(0, 0, 0))
}

// checkEncoded reports members that do not go with each other, and bytes that are none of
// an encoding: dense is as many as the table says; blob is how many there are, and length
// how many of them an offer has to say.
func (u UpdateMembers) checkEncoded(dense, blob int, length uint64) error {
	switch {
	case u.Length != length:
		return fmt.Errorf("length: %d, want %d", u.Length, length)
	case u.Encoding == "":
		return nil
	case blob == 0 || blob >= dense:
		return fmt.Errorf("%d bytes as %s, want 1 to %d: fewer than the %d of the table", blob, short(u.Encoding), dense-1, dense)
	}
	return nil
}

func checkMetrics(m map[string]float64) error {
	if len(m) > maxMetrics {
		return fmt.Errorf("metrics: want at most %d, got %d", maxMetrics, len(m))
	}
	named := 0
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v := m[name]
		if !IsMetric(name) {
			return fmt.Errorf("metrics: name %s is not of [A-Za-z0-9_.:/-]{1,%d}", short(name), maxMetricName)
		}
		if !finite(v) {
			return fmt.Errorf("metrics: %s is %v, want a finite number", short(name), v)
		}
		if !counts.MatchString(name) {
			named++
		}
	}
	if named > maxNamed {
		return fmt.Errorf("metrics: want at most %d names beside counts of classes, got %d", maxNamed, named)
	}
	return nil
}

func (u Update) appendTo(b []byte) []byte {
	s, blob := tensors(u.Tensors)
	b = slices.Grow(b, 64+48*len(u.Metrics)+64*len(s)+len(blob))
	b = appendStr(appendArray(b, updateFields), tagInline)
	b = appendUint(b, u.Samples)
	b = appendMetrics(b, u.Metrics)
	b = appendTable(b, s)
	return appendMembers(appendBin(b, blob), u.members())
}

// Content is the update's content id (W-30): that of the blob, or, without
// tensors, of the metrics array as encoded, and the counts after it.
func (u Update) Content() model.Hash {
	s, content := tensors(u.Tensors)
	if len(s) == 0 {
		content = appendMetrics(nil, u.Metrics)
		content = append(content, u.Counts...)
	}
	return model.ContentOf(content)
}

func (d Decline) check() error { return checkWord("reason", d.Reason) }

func (d Decline) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, declineFields), tagDecline)
	b = appendStr(b, d.Reason)
	return appendMembers(appendStr(b, clean(d.Detail, maxDetail)), nil)
}

func (Decline) members() []member { return nil }

// DecodeUpdate reads the body of an update: an [Update], an [Offer] or a
// [Decline]. With want, the tensors must have exactly that schema, which the
// result then shares, rules included; model.Schema{} wants none, and nil takes
// any. Names of metrics are copied, blob and hashes alias the body. The error is a
// [*Refusal]; with ReasonUnsupported the contribution may be returned, as far as this
// version knows it.
// Whether the tensors are finite and on the grid is the fold's to check.
func DecodeUpdate(body []byte, want model.Schema) (Contribution, error) {
	r := open(body, "update", ScanLimits{Items: MaxTableItems})
	n := r.count("fields", MaxItems)
	switch tag := r.word("tag"); {
	case r.err != nil:
		return nil, r.err
	case tag == tagInline && n == updateFields:
		return decodeInline(r, want)
	case tag == tagOffer && n == offerFields:
		return decodeOffer(r, want)
	case tag == tagDecline && n == declineFields:
		d := Decline{Reason: r.word("reason"), Detail: r.text("detail", maxDetail)}
		r.members(nil)
		if err := r.close(); err != nil {
			return nil, err
		}
		return d, r.lacking()
	default:
		return nil, badForm("update", tag, n, tagInline, tagOffer, tagDecline)
	}
}

// badForm refuses a form that this version lacks, or one that it knows and that has
// another length.
func badForm(what, tag string, n int, known ...string) error {
	if slices.Contains(known, tag) {
		return refuse(ReasonMalformed, StageDecode, "%s: %s of %d fields", what, tag, n)
	}
	return refuse(ReasonUnsupported, StageDecode, "%s: this version lacks the form %s", what, short(tag))
}

func decodeInline(r *reader, want model.Schema) (Contribution, error) {
	u := Update{Samples: r.uint64("samples")}
	var bad string
	u.Metrics, bad = r.metrics()
	t := table{want: want, any: want == nil}
	t.read(r)
	blob := r.bin("blob")
	r.members(updateMembers(&u.UpdateMembers))
	if u.Encoding == "" {
		t.holds(r, blob)
	}
	if err := u.checkEncoded(int(t.size), len(blob), 0); err != nil && r.err == nil { // below MaxInt
		r.malformed("blob: %v", err)
	}
	schema := t.schema(r)
	if bad != "" {
		r.refuse(ReasonNotFinite, StageSchema, "metric %s is not a finite number", short(bad))
	}
	if err := r.close(); err != nil {
		return nil, err
	}
	if len(schema) > 0 {
		u.Tensors = &model.Model{Schema: schema, Blob: blob}
	}
	return u, r.lacking()
}

// appendMetrics writes metrics by ascending name.
func appendMetrics(b []byte, m map[string]float64) []byte {
	b = appendArray(b, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b = appendStr(appendArray(b, 2), name)
		b = appendFloat(b, m[name])
	}
	return b
}

// metrics reads metrics, nil for none, and the name of the first that is not
// finite: that is said at a later step.
func (r *reader) metrics() (m map[string]float64, bad string) {
	n := r.count("metrics", maxMetrics)
	prev, named := "", 0
	for i := 0; i < n && r.err == nil; i++ {
		r.array("metric", 2)
		name := r.text("name", maxMetricName)
		v := r.float("value")
		if !counts.MatchString(name) {
			named++
		}
		switch {
		case r.err != nil:
		case !IsMetric(name):
			r.malformed("metric %d: name %s, want [A-Za-z0-9_.:/-]{1,%d}", i, short(name), maxMetricName)
		case i > 0 && name <= prev:
			r.malformed("metric %d: %s does not come after %s", i, short(name), short(prev))
		case named > maxNamed:
			r.malformed("metrics: more than %d names beside counts of classes", maxNamed)
		}
		if !finite(v) && bad == "" {
			bad = name
		}
		if m == nil {
			m = make(map[string]float64, n)
		}
		m[name] = v
		prev = name
	}
	return m, bad
}
