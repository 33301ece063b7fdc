package record

import (
	"bytes"
	"cmp"
	"crypto"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
)

const (
	maxPath   = 201 // bytes of an owner or member, with its namespace
	maxText   = 256 // bytes of a reason or detail
	maxMetric = 64  // bytes of a metric's name
)

// Sealed is a record with its bytes and their hash, so that nobody needs to
// decode or hash again what was just written or read.
type Sealed struct {
	Record
	Bytes []byte
	Hash  model.Hash // the Prev of the next record
}

// Seal makes the record's bytes, signed by an Ed25519 key, or unsigned for a
// nil key. It sorts the entries, makes texts of members and operators valid
// UTF-8 of at most 256 bytes, and sets Schema, Security and Sig. Other faults
// are errors that wrap [ErrMalformed].
func (r Record) Seal(key crypto.Signer) (Sealed, error) {
	r.Schema, r.Security, r.Sig = SchemaRecord, Unsigned, ""
	r.Reason = clean(r.Reason)
	if r.Gate != nil {
		r.Gate = &Gate{r.Gate.Version, r.Gate.Passed, clean(r.Gate.Why)}
	}
	r.Canaries = slices.Clone(r.Canaries)
	for i := range r.Canaries {
		r.Canaries[i].Why = clean(r.Canaries[i].Why)
	}
	r.Entries = sorted(r.Entries)
	if key != nil {
		r.Security = Signed
	}
	if err := r.check(); err != nil {
		return Sealed{}, err
	}
	b, err := compact(r)
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if key != nil {
		if r.Sig, err = sign(typeRecord, b, key); err != nil {
			return Sealed{}, err
		}
		if b, err = compact(r); err != nil {
			return Sealed{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if len(b) > MaxRecord {
		return Sealed{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), MaxRecord)
	}
	return Sealed{r, b, Hash(b)}, nil
}

// Encode returns the bytes that [Record.Seal] makes.
func (r Record) Encode(key crypto.Signer) ([]byte, error) {
	s, err := r.Seal(key)
	return s.Bytes, err
}

// Decode reads a record that is exactly what [Record.Encode] would write; other
// bytes give an error that wraps [ErrMalformed]. It verifies no signature.
func Decode(b []byte) (Record, error) {
	var r Record
	if len(b) > MaxRecord {
		return r, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), MaxRecord)
	}
	if err := strict(b, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if r.Schema != SchemaRecord {
		return Record{}, fmt.Errorf("%w: schema %.64q, want %s", ErrMalformed, r.Schema, SchemaRecord)
	}
	if err := r.check(); err != nil {
		return Record{}, err
	}
	if err := checkSig(r.Security, r.Sig); err != nil {
		return Record{}, err
	}
	if again, err := compact(r); err != nil || !bytes.Equal(again, b) {
		return Record{}, fmt.Errorf("%w: the JSON is not canonical", ErrMalformed)
	}
	return r, nil
}

// VerifySig checks the signature of a record's bytes. Errors wrap
// [ErrMalformed], [ErrUnsigned] or [ErrSignature].
func VerifySig(b []byte, keys Keys) error {
	r, err := Decode(b)
	if err != nil {
		return err
	}
	return verify(typeRecord, b, r.Sig, keys)
}

// checkSig holds "security" against the signature.
func checkSig(security, sig string) error {
	if security == Unsigned && sig == "" {
		return nil
	}
	if security != Signed {
		return fmt.Errorf("%w: security %.16q and sig do not fit", ErrMalformed, security)
	}
	_, _, err := parseSig(sig)
	return err
}

// sorted returns the entries in path order with clean details.
func sorted(entries Entries) Entries {
	out := append(Entries{}, entries...)
	for i := range out {
		out[i].Detail = clean(out[i].Detail)
		if len(out[i].Metrics) == 0 {
			out[i].Metrics = nil
		}
	}
	sortEntries(out)
	return out
}

// clean makes a text of somebody else fit for the record.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	for len(s) > maxText {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// check reports the first thing that no record may say (RC-4 to RC-7).
func (r Record) check() error {
	switch {
	case !text(r.Owner, 1, maxPath) || !text(r.Task, 1, 64):
		return r.bad("owner %.64q, task %.64q", r.Owner, r.Task)
	case r.Verdict != Committed && r.Verdict != Abandoned && r.Verdict != Adopted:
		return r.bad("verdict %.32q", r.Verdict)
	case !text(r.Work, 1, 32) || !text(r.Strategy.Name, 0, 64) || !text(r.Strategy.Weights, 0, 16) || !text(r.Strategy.Server, 0, 64) || !text(r.Reason, 0, maxText):
		return r.bad("work, strategy or reason is no short text")
	case r.Verdict == Abandoned && (!r.Model.IsZero() || r.Version != 0 || r.CommittedMS != 0 || !r.State.IsZero()):
		return r.bad("an abandoned attempt has a model")
	case r.Verdict == Committed && (r.Model.IsZero() || r.Version != r.Round):
		return r.bad("a committed round is version %d with the model %q", r.Version, r.Model)
	case r.BytesUp < 0 || r.BytesDown < 0 || r.OpenedMS < 0 || r.ClosedMS < 0 || r.CommittedMS < 0:
		return r.bad("a negative count or time")
	case len(r.Entries) > MaxEntries || len(r.Metrics) > MaxMetrics:
		return r.bad("%d entries, %d metrics", len(r.Entries), len(r.Metrics))
	}
	if err := cmp.Or(checkIDs(r.IDs), r.Notes.check(), r.Strategy.Params.check(), r.Strategy.ServerParams.check(), r.Settings.check(), r.Best.check(r), r.Gate.check(r), r.checkCanaries(), r.checkRollback(), r.Measured.check(), r.Coming.check(), r.checkExcluded()); err != nil {
		return r.bad("%v", err)
	}
	if err := cmp.Or(r.Strategy.Thresholds.check("threshold"), r.Strategy.Guard.check("setting of the guard")); err != nil {
		return r.bad("%v", err)
	}
	if r.Strategy.Enrolled < 0 {
		return r.bad("%d members enrolled", r.Strategy.Enrolled)
	}
	if name, ok := first(r.Metrics, func(name string, m Metric) bool {
		return !text(name, 1, maxMetric) || !text(m.BestSite, 0, maxPath) || !text(m.WorstSite, 0, maxPath) || m.Sites < 0
	}); ok {
		return r.bad("metric %.64q", name)
	}
	for i, e := range r.Entries {
		if i > 0 && r.Entries[i-1].Member >= e.Member {
			return r.bad("entries %.64q and %.64q are not in order", r.Entries[i-1].Member, e.Member)
		}
		if r.Verdict == Abandoned && e.Verdict == verdict.Counted {
			return r.bad("member %.64q is counted, but there is no model", e.Member)
		}
		if err := e.check(); err != nil {
			return r.bad("member %.64q: %v", e.Member, err)
		}
	}
	return nil
}

// check reports numbers that a round cannot have had; what says what they are.
func (v Values) check(what string) error {
	if v != nil && (len(v) == 0 || len(v) > MaxMetrics) {
		return fmt.Errorf("%d times a %s", len(v), what)
	}
	if name, ok := first(v, func(name string, x float64) bool {
		return !text(name, 1, maxMetric) || math.IsNaN(x) || math.IsInf(x, 0)
	}); ok {
		return fmt.Errorf("%s %.64q is %v", what, name, v[name])
	}
	return nil
}

// checkExcluded reports who is excluded and took part all the same, and a list that is
// none.
func (r Record) checkExcluded() error {
	if len(r.Excluded) > MaxEntries {
		return fmt.Errorf("%d excluded", len(r.Excluded))
	}
	for i, path := range r.Excluded {
		switch {
		case !text(path, 1, maxPath):
			return fmt.Errorf("an excluded path is no short text")
		case i > 0 && path <= r.Excluded[i-1]:
			return fmt.Errorf("excluded: %.64q does not come after %.64q", path, r.Excluded[i-1])
		case r.Entries.of(path):
			return fmt.Errorf("%.64q is excluded, and of the cohort", path)
		}
	}
	return nil
}

// of reports an entry of a member.
func (e Entries) of(path string) bool {
	_, ok := slices.BinarySearchFunc(e, path, func(e Entry, path string) int { return cmp.Compare(e.Member, path) })
	return ok
}

func (r Record) bad(format string, args ...any) error {
	return fmt.Errorf("%w: round %d, attempt %d: %s", ErrMalformed, r.Round, r.Attempt, fmt.Sprintf(format, args...))
}

func (e Entry) check() error {
	switch {
	case !text(e.Member, 1, maxPath) || !text(e.Detail, 0, maxText):
		return fmt.Errorf("path or detail is no short text")
	case e.Verdict == verdict.None:
		return fmt.Errorf("no verdict")
	case e.Verdict == verdict.Counted && e.Content.IsZero():
		return fmt.Errorf("counted without content")
	case e.Bytes < 0 || float64(e.Norm) < 0:
		return fmt.Errorf("bytes %d, norm %g", e.Bytes, float64(e.Norm))
	case math.Signbit(float64(e.Norm)) && e.Norm == 0:
		return fmt.Errorf("norm -0")
	}
	return cmp.Or(e.Metrics.named("metric"), e.Scalars.named("scalar"), checkEncoding(e.Encoding))
}

// named reports numbers of a member, whatever they are, that have no names.
func (v Values) named(what string) error {
	if len(v) > MaxMetrics || v != nil && len(v) == 0 {
		return fmt.Errorf("%d %ss", len(v), what)
	}
	if name, ok := first(v, func(name string, _ float64) bool { return !text(name, 1, maxMetric) }); ok {
		return fmt.Errorf("%s %.64q", what, name)
	}
	return nil
}

// first is the first name, in their order, of what is wrong.
func first[V any](of map[string]V, wrong func(string, V) bool) (name string, ok bool) {
	for n, v := range of {
		if (!ok || n < name) && wrong(n, v) {
			name, ok = n, true
		}
	}
	return name, ok
}

// text reports whether s is UTF-8 of lo to hi bytes.
func text(s string, lo, hi int) bool {
	return len(s) >= lo && len(s) <= hi && utf8.ValidString(s)
}
