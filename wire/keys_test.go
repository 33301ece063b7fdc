package wire

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// What openssl 3 writes for the key with the seed 01 x 32.
const opensslPrivate = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB
-----END PRIVATE KEY-----
`

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(typ string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	key, err := LoadPrivateKeyPEM(write(t, opensslPrivate, 0o600))
	if err != nil || !key.Equal(testKey(1)) {
		t.Fatalf("private key: %v", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public(1))
	if err != nil {
		t.Fatal(err)
	}
	publicText := pemOf("PUBLIC KEY", der)
	pub, err := LoadPublicKeyPEM(write(t, publicText, 0o644))
	if err != nil || !pub.Equal(public(1)) {
		t.Fatalf("public key: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if _, err := LoadPrivateKeyPEM(write(t, opensslPrivate, mode)); err == nil || !strings.Contains(err.Error(), "want 0600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaPub, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "garbage": "key", "public": publicText, "two": opensslPrivate + opensslPrivate,
		"rsa": pemOf("PRIVATE KEY", rsaDER), "broken": pemOf("PRIVATE KEY", der), "long": opensslPrivate + strings.Repeat("#", maxPEM),
	} {
		if _, err := LoadPrivateKeyPEM(write(t, text, 0o600)); err == nil {
			t.Errorf("private key %s: loaded", name)
		}
	}
	for name, text := range map[string]string{"private": opensslPrivate, "rsa": pemOf("PUBLIC KEY", rsaPub), "broken": pemOf("PUBLIC KEY", rsaDER)} {
		if _, err := LoadPublicKeyPEM(write(t, text, 0o600)); err == nil {
			t.Errorf("public key %s: loaded", name)
		}
	}
	if _, err := LoadPrivateKeyPEM(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there: loaded")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	site := Key{Path: testMember, Role: topics.RoleSite, Public: public(2)}
	for name, list := range map[string][]Key{
		"twice":    {site, {Path: "berlin/line-2", Role: topics.RoleSite, Public: public(2)}},
		"size":     {{Path: testMember, Role: topics.RoleSite, Public: public(2)[:31]}},
		"role":     {{Path: testMember, Role: topics.RoleWatcher, Public: public(2)}},
		"no path":  {{Role: topics.RoleSite, Public: public(2)}},
		"bad path": {{Path: "a//b", Role: topics.RoleAggregator, Public: public(2)}},
	} {
		if _, err := NewKeys(list...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	keys := testKeys(t)
	if n := len(keys.byID); n != 3 {
		t.Errorf("%d keys", n)
	}
	kid := sha256.Sum256(append([]byte("fedmq/key/v1\x01"), public(2)...))
	if k, ok := keys.Of([8]byte(kid[:8])); !ok || k.Path != testMember {
		t.Error("a key is not found under SHA-256(\"fedmq/key/v1\" || suite || key)[:8]")
	}
	if got := KeyIDOf(public(2)); got != [8]byte(kid[:8]) {
		t.Errorf("key id %x", got)
	}
	if _, err := NewSigner(nil); err == nil {
		t.Error("a signer without a key")
	}
}

// Whose key it is decides what it may sign: an aggregator's the messages and
// records of its node, an operator's commands, a revoked one nothing.
func TestWhoseKey(t *testing.T) {
	t.Parallel()
	keys, err := NewKeys(
		Key{Path: "berlin", Role: topics.RoleAggregator, Public: public(1)},
		Key{Path: "berlin", Role: topics.RoleAggregator, Public: public(2), Revoked: true},
		Key{Path: "ops/anna", Role: topics.RoleOperator, Public: public(3)},
		Key{Path: "ops/ben", Role: topics.RoleOperator, Public: public(4), Revoked: true},
		Key{Path: testMember, Role: topics.RoleSite, Public: public(5)},
		Key{Path: "paris", Role: topics.RoleAggregator, Public: public(6), Revoked: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		path          string
		aggregates    bool
		operates      bool
		paris, listed bool
	}{
		1: {"berlin", true, false, false, true},
		2: {"berlin", false, false, false, true},
		3: {"ops/anna", false, true, false, true},
		4: {"ops/ben", false, false, false, true},
		5: {testMember, false, false, false, true},
		6: {"paris", false, false, false, true},
		7: {},
	} {
		if i == 0 {
			continue
		}
		kid := KeyIDOf(public(byte(i)))
		k, listed := keys.Of(kid)
		_, aggregates := keys.Aggregator("berlin")(kid)
		_, paris := keys.Aggregator("paris")(kid)
		_, operates := keys.Operators()(kid)
		if k.Path != want.path || listed != want.listed || aggregates != want.aggregates || operates != want.operates || paris != want.paris {
			t.Errorf("key %d of %q: listed %v, aggregates %v, operates %v, paris %v", i, k.Path, listed, aggregates, operates, paris)
		}
	}
	if !keys.HasAggregator("berlin") || keys.HasAggregator("paris") || keys.HasAggregator(testMember) {
		t.Error("HasAggregator: want berlin alone")
	}
	var none *Keys
	if _, ok := none.Of(KeyIDOf(public(1))); ok {
		t.Error("a list that is not there has a key")
	}
}

// The signed bytes, spelled out.
func TestPreauth(t *testing.T) {
	t.Parallel()
	payload := seal(t, header(t, KindUpdate), encode(t, testUpdate(t)), testSigner(t, 2))
	p, h, err := parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("DSSEv1 15 fedmq/v1/update %d %s%sacme", len(p.header)+32+4, p.header, h.BodyHash[:])
	if !ed25519.Verify(public(2), []byte(text), p.signature) {
		t.Error("the signature is not over the pre-authentication encoding")
	}
	payload = seal(t, header(t, KindOrder), encode(t, testOrder()), testSigner(t, 1))
	if p, h, err = parse(payload); err != nil {
		t.Fatal(err)
	}
	text = fmt.Sprintf("DSSEv1 14 fedmq/v1/order %d %s%s", len(p.header)+32, p.header, h.BodyHash[:])
	if !ed25519.Verify(public(1), []byte(text), p.signature) {
		t.Error("the signature is not over the pre-authentication encoding")
	}
	if got, err := SignedHash(payload); err != nil || got != sha256.Sum256([]byte(text)) {
		t.Errorf("signed hash %v, %v", got, err)
	}
	if _, err := SignedHash(payload[1:]); err == nil {
		t.Error("signed hash of garbage")
	}
}

// A signer never shows its key, and is a crypto.Signer.
func TestSignerHidesKey(t *testing.T) {
	t.Parallel()
	s := testSigner(t, 1)
	text, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	all := string(text) + s.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		all += fmt.Sprintf(verb, s)
	}
	if n := strings.Count(all, redacted); n != 9 || len(all) != 9*len(redacted)+len(`{"s":""}`) {
		t.Errorf("printed as %s", all)
	}
	var c crypto.Signer = s
	sig, err := c.Sign(nil, []byte("record"), crypto.Hash(0))
	if err != nil || !ed25519.Verify(c.Public().(ed25519.PublicKey), []byte("record"), sig) {
		t.Errorf("as a crypto.Signer: %v", err)
	}
}

// Seal refuses what contradicts itself, and leaves the caller's body alone.
func TestSealRefuses(t *testing.T) {
	t.Parallel()
	body := encode(t, testUpdate(t))
	for name, change := range map[string]func(*Header){
		"kind":     func(h *Header) { h.Kind = "part" },
		"task":     func(h *Header) { h.Task = "Quality" },
		"topic":    func(h *Header) { h.Topic = joinTopic },
		"sender":   func(h *Header) { h.Sender = "acme/berlin" },
		"encoding": func(h *Header) { h.Encoding = "" },
		"long": func(h *Header) {
			h.Sender = strings.Repeat("a/", 100) + "b"
			h.Topic = h.Sender + upTopic[len(siteNode):]
		},
	} {
		h := header(t, KindUpdate)
		change(&h)
		if _, err := Seal(h, body, nil); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
	before := bytes.Clone(body)
	h := header(t, KindUpdate)
	h.Encoding = EncodingDenseZstd
	seal(t, h, body, nil)
	if !bytes.Equal(body, before) {
		t.Error("the body was changed")
	}
}
