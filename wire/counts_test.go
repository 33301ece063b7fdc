package wire

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// most are counts of the largest size: rows in every bin.
func most() Counts {
	confusion, scores := make([]int64, maxClasses*maxClasses), make([]uint32, maxClasses*2*scoreBins)
	for i := range confusion {
		confusion[i] = 200
	}
	for i := range scores {
		scores[i] = 200
	}
	b := PackCounts(confusion, scores)
	for i := 0; len(b) < maxCounts; i++ {
		scores[i] = 1 << 14
		b = append(b[:0], PackCounts(confusion, scores)...)
	}
	return b
}

// Packed counts are the same counts; a byte changed gives other counts in their only
// form, or none.
func TestCounts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 2 + r.IntN(12)
		confusion := make([]int64, n*n)
		var scores []uint32
		if r.IntN(2) == 0 {
			scores = make([]uint32, n*2*scoreBins)
		}
		for range r.IntN(60) {
			confusion[r.IntN(n*n)] = r.Int64N(1 << uint(1+r.IntN(30)))
			if scores != nil {
				scores[r.IntN(len(scores))] = r.Uint32() >> uint(r.IntN(32))
			}
		}
		b := PackCounts(confusion, scores)
		c, s, err := b.Unpack()
		if err != nil || !slices.Equal(c, confusion) || !slices.Equal(s, scores) {
			t.Fatal(err)
		}
		b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
		if c, s, err := b.Unpack(); err == nil && !bytes.Equal(PackCounts(c, s), b) {
			t.Fatalf("% x and % x are the same counts", b, PackCounts(c, s))
		}
	}
	for name, b := range map[string]string{
		"no histograms": "\x02", "one class": "\x01\x00", "81 classes": "\x51\x00", "two flags": "\x02\x02",
		"five cells": "\x02\x00\x01\x01\x01\x01\x01", "zeros at the end": "\x02\x00\x01\x00\x00", "zeros twice": "\x02\x00\x00\x00\x00\x00\x01",
		"too many zeros": "\x02\x00\x00\x04\x01", "long form": "\x02\x00\x81\x00", "cut": "\x02\x00\x81", "rows": "\x02\x00\xff\xff\xff\xff\xff\xff\x01",
		"a bin": "\x02\x01\x00\x03\x80\x80\x80\x80\x10", "": "",
	} {
		if _, _, err := Counts(b).Unpack(); err == nil {
			t.Errorf("%s: % x are counts", name, b)
		}
	}
	if c, s, err := (Counts("\x02\x01\x00\x03\xff\xff\xff\xff\x0f")).Unpack(); err != nil || c[0] != 0 || s[0] != 1<<32-1 {
		t.Errorf("%v, %v", c, err)
	}
}

// An update with counts is itself again, inline and offered, and an evaluation has them in
// its content id.
func TestUpdateWithCounts(t *testing.T) {
	t.Parallel()
	counts := PackCounts([]int64{3, 1, 0, 2}, nil)
	u := Update{Samples: 6, Metrics: map[string]float64{"n": 6}, UpdateMembers: UpdateMembers{Counts: counts}}
	c, err := DecodeUpdate(encode(t, u), model.Schema{})
	if err != nil || !bytes.Equal(c.(Update).Counts, counts) {
		t.Errorf("%v, %v", c, err)
	}
	if b, err := json.Marshal(c.(Update).UpdateMembers); err != nil || string(b) != `{"counts":{"confusion":[[3,1],[0,2]],"histograms":0}}` {
		t.Errorf("%s, %v", b, err)
	}
	other := u
	other.Counts = PackCounts([]int64{3, 1, 1, 1}, nil)
	if u.Content() == other.Content() || u.Content() == (Update{Metrics: u.Metrics}).Content() {
		t.Error("the content id is the same of other counts")
	}
	u.Counts = Counts{2, 0, 0, 0}
	if _, err := Encode(u); err == nil {
		t.Error("an update with bytes that are no counts is sent")
	}
	raw := bytes.Replace(encode(t, other), other.Counts, Counts{2, 0, 3, 1, 1, 0}, 1)
	_, err = DecodeUpdate(raw, model.Schema{})
	wantRefusal(t, err, ReasonMalformed, StageDecode)
}
