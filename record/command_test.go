package record_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// TestCommandSignature: what an operator signs verifies under the operator's
// key and no other, and not one byte of it can change.
func TestCommandSignature(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	pub := key.Public().(ed25519.PublicKey)
	keys := func(kid [8]byte) (ed25519.PublicKey, bool) { return pub, kid == wire.KeyIDOf(pub) }
	doc := []byte(`{"schema":"fedmq.command.v1","id":"x","command":"stop","at_round":3,"timestamp_ms":1}`)
	signed, err := record.SignCommand(doc, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.VerifyCommand(signed, keys)
	if err != nil || !bytes.Equal(got, doc) {
		t.Fatalf("verified %q, %v; want %q", got, err, doc)
	}
	for i := range signed {
		bad := bytes.Clone(signed)
		bad[i] ^= 1
		if got, err := record.VerifyCommand(bad, keys); err == nil {
			t.Errorf("byte %d changed, and %q verified", i, got)
		}
	}
	if _, err := record.VerifyCommand(doc, keys); !errors.Is(err, record.ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	none := func([8]byte) (ed25519.PublicKey, bool) { return nil, false }
	if _, err := record.VerifyCommand(signed, none); !errors.Is(err, record.ErrSignature) {
		t.Errorf("unknown key: %v", err)
	}
	for _, bad := range []string{"", "{}", "[1,2,3,4]", "{\"a\":1"} {
		if _, err := record.SignCommand([]byte(bad), key); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("SignCommand(%q): %v", bad, err)
		}
	}
	for _, bad := range []string{"", `"}`, `,"sig":"`, `,"sig":"}`, `{,"sig":""}`, `{"a":1,"sig":"00:"}`, `{"a":1,"sig":""}`} {
		if _, err := record.VerifyCommand([]byte(bad), keys); err == nil {
			t.Errorf("VerifyCommand(%q) took it", bad)
		}
	}
}
