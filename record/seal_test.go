package record_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fedmq/fedmq/record"
)

// A chain that begins in its middle, at a commit or at an attempt that was given
// up, takes what follows and refuses what does not.
func TestChainResumes(t *testing.T) {
	t.Parallel()
	whole := links(t, func(int, *record.Record) {})
	other := links(t, func(i int, r *record.Record) { // the same up to where the base is another
		if i == 3 {
			r.Base = record.Hash([]byte("other"))
		}
	})
	for from := range whole {
		var c record.Chain
		if _, err := c.Resume(whole[from]); err != nil {
			t.Fatal(err)
		}
		for i, b := range whole[from+1:] {
			if _, err := c.Next(b); err != nil {
				t.Errorf("from %d: record %d: %v", from, from+1+i, err)
			}
		}
		if c.Tip() != record.Hash(whole[len(whole)-1]) {
			t.Errorf("from %d: the tip is %s", from, c.Tip())
		}
	}
	for from := range 3 {
		var c record.Chain
		_, err := c.Resume(other[from])
		for _, b := range other[from+1 : 4] {
			if err == nil {
				_, err = c.Next(b)
			}
		}
		if !errors.Is(err, record.ErrChain) {
			t.Errorf("from %d: another base: %v", from, err)
		}
	}
	if _, err := new(record.Chain).Resume([]byte("{}")); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("no record: %v", err)
	}
}

// A sealed record is what its bytes say, and so is its head.
func TestSeal(t *testing.T) {
	t.Parallel()
	s, err := sample().Seal(key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := record.Unseal(s.Bytes)
	if err != nil || read.Hash != s.Hash || s.Hash != record.Hash(s.Bytes) || !bytes.Equal(read.Bytes, s.Bytes) {
		t.Fatalf("%s, want %s: %v", read.Hash, s.Hash, err)
	}
	again, err := s.Encode(key)
	if err != nil || !bytes.Equal(again, s.Bytes) {
		t.Errorf("%s, %v", again, err)
	}
	head, err := s.Head(key)
	of, ofErr := record.HeadOf(s.Bytes, key)
	if err != nil || ofErr != nil || !bytes.Equal(head, of) {
		t.Errorf("%s, %v; of the bytes %s, %v", head, err, of, ofErr)
	}
}
