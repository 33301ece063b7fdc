package record

import (
	"bytes"
	"cmp"
	"crypto"
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// maxThresholds bounds those of a head: with their names they take 2 kB.
const maxThresholds = 16

// maxIndex bounds the bitmap of a head: 8 kB, 11 kB as base64.
const maxIndex = 1 << 16

// Head is the short form of a record, at most [MaxHead] bytes of JSON, retained
// on the task's record topic (RC-12).
type Head struct {
	Schema      string         `json:"schema"` // SchemaHead
	Owner       string         `json:"owner"`
	Task        string         `json:"task"`
	Round       uint64         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Epoch       uint64         `json:"epoch"`
	Verdict     string         `json:"verdict"`
	Work        string         `json:"work"`
	Prev        model.Hash     `json:"prev"`
	Base        model.Hash     `json:"base"`
	Model       model.Hash     `json:"model"`
	Version     uint64         `json:"version"`
	Hash        model.Hash     `json:"hash"`     // of the whole record's bytes
	Members     int            `json:"members"`  // of the cohort
	Counts      map[string]int `json:"counts"`   // of members by verdict
	Accepted    Bitmap         `json:"accepted"` // members counted, by index; null if an index is above 65,535
	CommittedMS int64          `json:"committed_ms"`
	Reason      string         `json:"reason"`
	Origin      wire.Nonce     `json:"origin,omitzero"`     // of the task
	State       model.Hash     `json:"state,omitzero"`      // content id of what strategy and server optimiser keep
	IDs         string         `json:"ids,omitempty"`       // kind of the content ids, as in the record
	Cap         uint64         `json:"cap,omitzero"`        // largest weight of one member
	Thresholds  Values         `json:"thresholds,omitzero"` // that updates were judged by; none if there are more than 16
	Encodings   []string       `json:"encodings,omitempty"` // of the entries, each once; ascending
	Staleness   uint64         `json:"staleness,omitzero"`  // the most that an update was behind that counts
	ComingOfHead
	Excluded int    `json:"excluded,omitzero"` // how many members an operator had excluded
	Security string `json:"security"`
	Sig      string `json:"sig,omitempty"`
}

// Bitmap is a set of member indices: bit i&7 of byte i>>3. In JSON it is
// standard base64 without trailing zero bytes, null where it is not told.
type Bitmap []byte

// Has reports whether index i is in the set.
func (m Bitmap) Has(i uint32) bool {
	return uint64(i>>3) < uint64(len(m)) && m[i>>3]>>(i&7)&1 == 1
}

// bitmapOf returns the counted members, nil if one does not fit.
func bitmapOf(entries Entries) Bitmap {
	m := Bitmap{}
	for _, e := range entries {
		if e.Verdict != verdict.Counted {
			continue
		}
		if e.Index >= maxIndex {
			return nil
		}
		for len(m) <= int(e.Index>>3) {
			m = append(m, 0)
		}
		m[e.Index>>3] |= 1 << (e.Index & 7)
	}
	return m
}

// Head returns the head of a record, signed as [Record.Seal] signs. Errors wrap
// [ErrMalformed].
func (r Sealed) Head(key crypto.Signer) ([]byte, error) {
	h := Head{
		Schema: SchemaHead, Owner: r.Owner, Task: r.Task,
		Round: r.Round, Attempt: r.Attempt, Epoch: r.Epoch, Verdict: r.Verdict, Work: r.Work,
		Prev: r.Prev, Base: r.Base, Model: r.Model, Version: r.Version, Hash: r.Hash,
		Members: len(r.Entries), Counts: r.Counts(), Accepted: bitmapOf(r.Entries),
		CommittedMS: r.CommittedMS, Reason: r.Reason, Origin: r.Origin, State: r.State, IDs: r.IDs, Cap: r.Strategy.Cap, Excluded: len(r.Excluded), Security: Unsigned,
	}
	h.Encodings, h.Staleness = encodingsOf(r.Entries), r.Staleness()
	if len(r.Strategy.Thresholds) <= maxThresholds {
		h.Thresholds = r.Strategy.Thresholds
	}
	if key != nil {
		h.Security = Signed
	}
	out, err := compact(h)
	if err == nil && key != nil {
		if h.Sig, err = sign(typeHead, out, key); err == nil {
			out, err = compact(h)
		}
	}
	if err == nil && len(out) > MaxHead {
		err = fmt.Errorf("%w: a head of %d bytes", ErrMalformed, len(out))
	}
	return out, err
}

// maxEncoding is the most bytes of an encoding's name (W-45), and maxEncodings how many
// an order can lead to.
const (
	maxEncoding  = 32
	maxEncodings = 64
)

// encodingsOf are those of entries, each once.
func encodingsOf(entries Entries) (list []string) {
	for _, e := range entries {
		if at, is := slices.BinarySearch(list, e.Encoding); e.Encoding != "" && !is && len(list) < maxEncodings {
			list = slices.Insert(list, at, e.Encoding)
		}
	}
	return list
}

func checkEncodings(list []string) error {
	if len(list) > maxEncodings {
		return fmt.Errorf("%d encodings, at most %d", len(list), maxEncodings)
	}
	for i, e := range list {
		if err := checkEncoding(e); err != nil || e == "" {
			return fmt.Errorf("encoding %d: %.40q, want 1 to %d bytes of A-Z a-z 0-9 . : + -", i, e, maxEncoding)
		}
		if i > 0 && e <= list[i-1] {
			return fmt.Errorf("encoding %.40q does not come after %.40q", e, list[i-1])
		}
	}
	return nil
}

// checkEncoding reports what is no name of an encoding.
func checkEncoding(e string) error {
	if len(e) > maxEncoding || strings.ContainsFunc(e, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:+-_", r)
	}) {
		return fmt.Errorf("encoding %.40q, want at most %d bytes of A-Z a-z 0-9 . : + - _", e, maxEncoding)
	}
	return nil
}

// DecodeHead reads exactly what [Sealed.Head] writes; other bytes give an error that
// wraps [ErrMalformed]. It verifies no signature.
func DecodeHead(b []byte) (Head, error) {
	var h Head
	if len(b) > MaxHead {
		return h, fmt.Errorf("%w: a head of %d bytes, at most %d", ErrMalformed, len(b), MaxHead)
	}
	if err := strict(b, &h); err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if h.Schema != SchemaHead {
		return Head{}, fmt.Errorf("%w: schema %.64q, want %s", ErrMalformed, h.Schema, SchemaHead)
	}
	if err := checkSig(h.Security, h.Sig); err != nil {
		return Head{}, err
	}
	if err := cmp.Or(checkIDs(h.IDs), checkEncodings(h.Encodings), h.ComingOfHead.check()); err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(h.Thresholds) > maxThresholds || h.Thresholds != nil && len(h.Thresholds) == 0 {
		return Head{}, fmt.Errorf("%w: %d thresholds", ErrMalformed, len(h.Thresholds))
	}
	if h.Excluded < 0 {
		return Head{}, fmt.Errorf("%w: %d excluded", ErrMalformed, h.Excluded)
	}
	if n := len(h.Accepted); n > 0 && h.Accepted[n-1] == 0 {
		return Head{}, fmt.Errorf("%w: the bitmap ends with zeros", ErrMalformed)
	}
	if again, err := compact(h); err != nil || !bytes.Equal(again, b) {
		return Head{}, fmt.Errorf("%w: the JSON is not canonical", ErrMalformed)
	}
	return h, nil
}

// VerifyHeadSig checks the signature of a head's bytes, as [VerifySig] does.
func VerifyHeadSig(b []byte, keys Keys) error {
	h, err := DecodeHead(b)
	if err != nil {
		return err
	}
	return verify(typeHead, b, h.Sig, keys)
}

func sortEntries(e Entries) {
	slices.SortStableFunc(e, func(a, b Entry) int { return strings.Compare(a.Member, b.Member) })
}
