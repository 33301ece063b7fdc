package record_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// loosen sets the unused bits of the signature's base64, which decoders forgive.
func loosen(b []byte) []byte {
	out := append([]byte(nil), b...)
	i := len(out) - len(`A=="}`)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	out[i] = alphabet[strings.IndexByte(alphabet, out[i])|1]
	return out
}

// links makes n records: round 0 is the genesis, round 2 has an abandoned
// attempt first.
func links(t testing.TB, change func(i int, r *record.Record)) [][]byte {
	t.Helper()
	steps := []struct {
		round   uint64
		attempt uint32
		verdict string
	}{{0, 1, "committed"}, {1, 1, "committed"}, {2, 1, "abandoned"}, {2, 2, "committed"}, {3, 1, "committed"}}
	var out [][]byte
	var prev model.Hash
	var base model.Hash
	for i, s := range steps {
		r := record.Record{
			Owner: "acme", Task: "quality", Work: "train", Epoch: 1, Prev: prev, Base: base,
			Round: s.round, Attempt: s.attempt, Verdict: s.verdict,
		}
		if s.verdict == record.Committed {
			r.Model, r.Version = model.HashOf([]byte(fmt.Sprint("model ", s.round))), s.round
		}
		change(i, &r)
		b := mustEncode(t, r)
		if !r.Model.IsZero() {
			base = r.Model
		}
		prev = record.Hash(b)
		out = append(out, b)
	}
	return out
}

func TestChain(t *testing.T) {
	t.Parallel()
	same := func(int, *record.Record) {}
	at := func(n int, fn func(r *record.Record)) func(int, *record.Record) {
		return func(i int, r *record.Record) {
			if i == n {
				fn(r)
			}
		}
	}
	for _, tc := range []struct {
		name    string
		change  func(int, *record.Record)
		cut     func([][]byte) [][]byte
		round   uint64 // of the break
		attempt uint32 // 0: no break
		says    string
	}{
		{"whole", same, nil, 0, 0, ""},
		{"empty", same, func([][]byte) [][]byte { return nil }, 0, 0, ""},
		{"end cut off", same, func(b [][]byte) [][]byte { return b[:3] }, 0, 0, ""},
		{"epoch grows", at(2, func(r *record.Record) { r.Epoch = 9 }), func(b [][]byte) [][]byte { return b[:3] }, 0, 0, ""},
		{"adopted", at(4, func(r *record.Record) { r.Verdict, r.Round, r.Version = record.Adopted, 9, 9 }), nil, 0, 0, ""},
		{"start cut off", same, func(b [][]byte) [][]byte { return b[1:] }, 1, 1, "not there"},
		{"one missing", same, func(b [][]byte) [][]byte { return append(b[:2:2], b[3:]...) }, 2, 2, "prev"},
		{"swapped", same, func(b [][]byte) [][]byte { b[1], b[2] = b[2], b[1]; return b }, 2, 1, "prev"},
		{"one changed", same, func(b [][]byte) [][]byte {
			b[1] = []byte(strings.Replace(string(b[1]), `"bytes_up":0`, `"bytes_up":1`, 1))
			return b
		}, 2, 1, "round 1, attempt 1"},
		{"origin from round 1 on", func(i int, r *record.Record) {
			if i > 0 {
				r.Origin = wire.Nonce{1}
			}
		}, nil, 0, 0, ""},
		{"other origin", func(i int, r *record.Record) { r.Origin = wire.Nonce{byte(1 + i/3)} }, nil, 2, 2, "another life"},
		{"no origin any more", func(i int, r *record.Record) { r.Origin = wire.Nonce{byte(1 - i/3)} }, func(b [][]byte) [][]byte { return b[:4] }, 2, 2, "another life"},
		{"task", at(3, func(r *record.Record) { r.Task = "other" }), nil, 2, 2, "task"},
		{"epoch falls", at(1, func(r *record.Record) { r.Epoch = 0 }), nil, 1, 1, "epoch"},
		{"round skipped", at(1, func(r *record.Record) { r.Round, r.Version = 2, 2 }), nil, 2, 1, "want round 1"},
		{"round left after abandon", at(3, func(r *record.Record) { r.Round, r.Version = 3, 3 }), nil, 3, 2, "want round 2"},
		{"attempt again", at(3, func(r *record.Record) { r.Attempt = 1 }), nil, 2, 1, "attempt above 1"},
		{"other base", at(4, func(r *record.Record) { r.Base = model.HashOf(nil) }), nil, 3, 1, "base"},
		{"adopted below", at(4, func(r *record.Record) { r.Verdict, r.Round, r.Version = record.Adopted, 2, 2 }), nil, 2, 1, "adopted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			chain := links(t, tc.change)
			if tc.cut != nil {
				chain = tc.cut(chain)
			}
			err := record.CheckChain(chain)
			var broken *record.ChainError
			switch {
			case tc.attempt == 0 && err != nil:
				t.Error(err)
			case tc.attempt == 0:
			case !errors.As(err, &broken) || !errors.Is(err, record.ErrChain):
				t.Errorf("%v, want a break", err)
			case broken.Round != tc.round || broken.Attempt != tc.attempt || !strings.Contains(broken.Problem, tc.says):
				t.Errorf("%v, want round %d, attempt %d: %s", err, tc.round, tc.attempt, tc.says)
			}
		})
	}
}

// The tip shows what a chain alone cannot: that its end is missing.
func TestChainTip(t *testing.T) {
	t.Parallel()
	all := links(t, func(int, *record.Record) {})
	var c record.Chain
	for _, b := range all {
		if _, err := c.Next(b); err != nil {
			t.Fatal(err)
		}
	}
	tip := c.Tip()
	if tip != model.Hash(record.Hash(all[4])) {
		t.Errorf("tip %v", tip)
	}
	if _, err := c.Next([]byte("{}")); !errors.Is(err, record.ErrMalformed) || c.Tip() != tip {
		t.Errorf("after garbage: %v, tip %v", err, c.Tip())
	}
}

func TestHeadOfThousand(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Entries = nil
	for i := range uint32(1000) {
		e := record.Entry{
			Member: fmt.Sprintf("%s-%04d", strings.Repeat("long-path/", 5), i),
			Index:  999 - i, Verdict: verdict.Missing,
		}
		if i%3 == 0 {
			e.Verdict, e.Content = verdict.Counted, model.HashOf([]byte{byte(i)})
		}
		r.Entries = append(r.Entries, e)
	}
	b, err := r.Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	head, err := record.HeadOf(b, key)
	if err != nil || len(head) > record.MaxHead {
		t.Fatalf("%d bytes, %v", len(head), err)
	}
	h, err := record.DecodeHead(head)
	if err != nil {
		t.Fatal(err)
	}
	if err := record.VerifyHeadSig(head, keys); err != nil {
		t.Error(err)
	}
	for _, e := range r.Entries {
		if h.Accepted.Has(e.Index) != (e.Verdict == verdict.Counted) {
			t.Errorf("index %d, %v: %v", e.Index, e.Verdict, h.Accepted.Has(e.Index))
		}
	}
	if h.Accepted.Has(1000) || h.Accepted.Has(1<<32-1) || h.Counts["counted"] != 334 || h.Members != 1000 || h.Hash != model.Hash(record.Hash(b)) {
		t.Errorf("head %+v", h)
	}
}

func TestHeadRefuses(t *testing.T) {
	t.Parallel()
	b := mustEncode(t, sample())
	head, err := record.HeadOf(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	const accepted = `"accepted":"AQ=="` // index 0 alone
	if !strings.Contains(string(head), accepted) {
		t.Fatalf("head %s", head)
	}
	if err := record.VerifyHeadSig(head, keys); !errors.Is(err, record.ErrUnsigned) {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"record":      string(b),
		"zeros":       strings.Replace(string(head), accepted, `"accepted":"AQA="`, 1),
		"space":       string(head) + " ",
		"unknown":     strings.Replace(string(head), accepted, accepted+`,"x":1`, 1),
		"large":       string(head) + strings.Repeat(" ", record.MaxHead),
		"signed":      strings.Replace(string(head), `"unsigned"`, `"signed"`, 1),
		"other name":  strings.Replace(string(head), "record-head", "record", 1),
		"not base64 ": strings.Replace(string(head), accepted, `"accepted":"A"`, 1),
	} {
		if h, err := record.DecodeHead([]byte(bad)); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	r := sample()
	r.Entries[1].Index = 1 << 20
	head, err = record.HeadOf(mustEncode(t, r), nil)
	if err != nil || !strings.Contains(string(head), `"accepted":null`) {
		t.Errorf("an index that does not fit: %s, %v", head, err)
	}
}

func ExampleChain() {
	genesis, err := record.Record{
		Owner: "acme", Task: "quality", Verdict: record.Committed, Work: "init",
		Model: model.HashOf([]byte("weights")),
	}.Encode(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	round, err := record.Record{
		Owner: "acme", Task: "quality", Round: 1, Attempt: 1, Epoch: 1,
		Verdict: record.Abandoned, Work: "train", Prev: record.Hash(genesis), Reason: "deadline",
		Base: model.HashOf([]byte("weights")),
	}.Encode(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(record.CheckChain([][]byte{genesis, round}))
	var broken *record.ChainError
	fmt.Println(errors.As(record.CheckChain([][]byte{round}), &broken), broken.Round)
	// Output:
	// <nil>
	// true 1
}
