package record

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/wire"
)

// Types of the signed bytes (rules RC-8, RC-12, RC-14).
const (
	typeRecord  = "fedmq/v1/record"
	typeHead    = "fedmq/v1/record-head"
	typeCommand = "fedmq/v1/command"
)

// sigMember begins the last member of a signed document.
const sigMember = `,"sig":"`

// SignCommand returns an operator's command, a JSON object with at least one
// member, with its signature as the last member (rule RC-14).
func SignCommand(doc []byte, key crypto.Signer) ([]byte, error) {
	if len(doc) < len(`{"a":0}`) || doc[0] != '{' || doc[len(doc)-1] != '}' {
		return nil, fmt.Errorf("%w: a command is a JSON object", ErrMalformed)
	}
	text, err := sign(typeCommand, doc, key)
	if err != nil {
		return nil, err
	}
	return append(append(doc[:len(doc)-1:len(doc)-1], sigMember...), text+`"}`...), nil
}

// VerifyCommand checks what SignCommand made and returns the command without
// its signature. Errors wrap [ErrUnsigned], [ErrMalformed] or [ErrSignature].
func VerifyCommand(doc []byte, keys Keys) ([]byte, error) {
	at := bytes.LastIndex(doc, []byte(sigMember))
	end := len(doc) - len(`"}`)
	if at < 0 || end < at+len(sigMember) || string(doc[end:]) != `"}` {
		return nil, ErrUnsigned
	}
	if err := verify(typeCommand, doc, string(doc[at+len(sigMember):end]), keys); err != nil {
		return nil, err
	}
	return append(doc[:at:at], '}'), nil
}

// Keys finds the public key of a key id; that of wire.Keys knows whose it is.
type Keys func(kid [8]byte) (ed25519.PublicKey, bool)

// KeysOf finds the keys of a list.
func KeysOf(list ...ed25519.PublicKey) Keys {
	return func(kid [8]byte) (ed25519.PublicKey, bool) {
		for _, pub := range list {
			if wire.KeyIDOf(pub) == kid {
				return pub, true
			}
		}
		return nil, false
	}
}

// preauth is the DSSE pre-authentication encoding,
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
func preauth(kind string, payload []byte) []byte {
	b := append([]byte("DSSEv1 "), strconv.Itoa(len(kind))...)
	b = append(append(b, ' '), kind...)
	b = strconv.AppendInt(append(b, ' '), int64(len(payload)), 10)
	return append(append(b, ' '), payload...)
}

// sign returns the text of "sig" for a document without one.
func sign(kind string, unsigned []byte, key crypto.Signer) (string, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("record: an Ed25519 key signs, not %T", key.Public())
	}
	sig, err := key.Sign(rand.Reader, preauth(kind, unsigned), crypto.Hash(0))
	if err != nil {
		return "", fmt.Errorf("record: signing: %w", err)
	}
	kid := wire.KeyIDOf(pub)
	return sigText(kid, sig), nil
}

func sigText(kid [8]byte, sig []byte) string {
	return hex.EncodeToString(kid[:]) + ":" + base64.StdEncoding.EncodeToString(sig)
}

// parseSig accepts exactly what sigText writes.
func parseSig(text string) (kid [8]byte, sig []byte, err error) {
	k, s, _ := strings.Cut(text, ":")
	id, err1 := hex.DecodeString(k)
	sig, err2 := base64.StdEncoding.DecodeString(s)
	if err1 == nil && err2 == nil && len(id) == 8 && len(sig) == ed25519.SignatureSize {
		kid = [8]byte(id)
		if sigText(kid, sig) == text {
			return kid, sig, nil
		}
	}
	return kid, nil, fmt.Errorf("%w: sig is no key id and Ed25519 signature", ErrMalformed)
}

// verify checks the signature text of the document b, whose last member it is.
func verify(kind string, b []byte, text string, keys Keys) error {
	if text == "" {
		return ErrUnsigned
	}
	kid, sig, err := parseSig(text)
	if err != nil {
		return err
	}
	end := len(b) - len(sigMember) - len(text) - len(`"}`)
	if end < 1 {
		return fmt.Errorf("%w: sig is not the last member", ErrMalformed)
	}
	unsigned := append(append([]byte{}, b[:end]...), '}')
	pub, ok := keys(kid)
	if !ok || len(pub) != ed25519.PublicKeySize || wire.KeyIDOf(pub) != kid {
		return fmt.Errorf("%w: unknown key %x", ErrSignature, kid)
	}
	if !ed25519.Verify(pub, preauth(kind, unsigned), sig) {
		return fmt.Errorf("%w: key %x", ErrSignature, kid)
	}
	return nil
}
