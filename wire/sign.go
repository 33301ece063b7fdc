package wire

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
)

// Signer signs envelopes with one Ed25519 key (W-10, W-11). It never shows the
// key: every way of printing it gives "[redacted]". Safe for concurrent use.
type Signer struct {
	key ed25519.PrivateKey
	kid [keyIDSize]byte
}

// NewSigner returns a signer. The key must come from crypto/ed25519 or
// [LoadPrivateKeyPEM].
func NewSigner(key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("wire: an Ed25519 private key has %d bytes, got %d", ed25519.PrivateKeySize, len(key))
	}
	s := &Signer{key: key}
	s.kid = keyID(suiteOne, key[ed25519.SeedSize:])
	return s, nil
}

// KeyID returns the 8 bytes that name the key in headers.
func (s *Signer) KeyID() []byte { return s.kid[:] }

// Public returns the ed25519.PublicKey; with Sign it makes a Signer a
// [crypto.Signer] for records.
func (s *Signer) Public() crypto.PublicKey { return s.key.Public() }

// Sign signs a message with pure Ed25519; rand is not used.
func (s *Signer) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(rand, message, opts)
}

const redacted = "[redacted]"

// String hides the key.
func (s *Signer) String() string { return redacted }

// Format hides the key from every verb.
func (s *Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the key from encoders.
func (s *Signer) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// keyID is the first 8 bytes of SHA-256("fedmq/key/v1" || suite || key) (W-10).
func keyID(suite byte, pub []byte) [keyIDSize]byte {
	b := append([]byte("fedmq/key/v1"), suite)
	sum := sha256.Sum256(append(b, pub...))
	return [keyIDSize]byte(sum[:keyIDSize])
}

// preauth is the DSSE pre-authentication encoding of a header, the body hash it
// claims, and in a member's message the owner's node (W-11): what is signed, and
// what is verified, are the bytes as they travel, never a re-encoding.
func preauth(kind string, header, bodyHash []byte, owner string) []byte {
	typ := "fedmq/v1/" + kind
	b := make([]byte, 0, 64+len(header)+len(bodyHash)+len(owner))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(typ)), 10)
	b = append(b, ' ')
	b = append(b, typ...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(header)+len(bodyHash)+len(owner)), 10)
	b = append(b, ' ')
	b = append(b, header...)
	return append(append(b, bodyHash...), owner...)
}
