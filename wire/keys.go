package wire

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/fedmq/fedmq/internal/secret"
	"github.com/fedmq/fedmq/internal/textfile"
	"github.com/fedmq/fedmq/topics"
)

// Key is one entry of the allow-list: who may speak from which node.
type Key struct {
	Path    string      // node below the namespace, "" = the namespace itself
	Role    topics.Role // RoleSite sends joins, updates and needs, RoleAggregator orders, models and replies, RoleOperator no envelope but commands
	Public  ed25519.PublicKey
	Revoked bool
}

// Keys is an allow-list of public keys by key id. It does not change once
// made, and is safe for concurrent use.
type Keys struct{ byID map[[keyIDSize]byte]Key }

// NewKeys makes an allow-list. A key that is listed twice, has the wrong size,
// a path outside the grammar, or a role that does not speak, is an error.
func NewKeys(list ...Key) (*Keys, error) {
	keys := &Keys{byID: make(map[[keyIDSize]byte]Key, len(list))}
	for _, k := range list {
		if len(k.Public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("wire: key of %q: an Ed25519 public key has %d bytes, got %d", k.Path, ed25519.PublicKeySize, len(k.Public))
		}
		if k.Role != topics.RoleSite && k.Role != topics.RoleAggregator && k.Role != topics.RoleOperator {
			return nil, fmt.Errorf("wire: key of %q: want the role site, aggregator or operator, got %v", k.Path, k.Role)
		}
		if k.Path != "" || k.Role == topics.RoleSite {
			if err := topics.CheckPath(k.Path); err != nil {
				return nil, fmt.Errorf("wire: key: %w", err)
			}
		}
		kid := keyID(suiteOne, k.Public)
		if old, ok := keys.byID[kid]; ok {
			return nil, fmt.Errorf("wire: the key of %q is also listed for %q", k.Path, old.Path)
		}
		keys.byID[kid] = k
	}
	return keys, nil
}

// Of says whose key has an id, revoked or not. A list that is nil has none.
func (k *Keys) Of(kid [8]byte) (Key, bool) {
	if k == nil {
		return Key{}, false
	}
	key, ok := k.byID[kid]
	return key, ok
}

// Aggregator finds the keys with which the aggregator at a node may sign.
func (k *Keys) Aggregator(path string) func(kid [8]byte) (ed25519.PublicKey, bool) {
	return k.finder(func(key Key) bool { return key.Role == topics.RoleAggregator && key.Path == path })
}

// Operators finds the keys with which commands may be signed.
func (k *Keys) Operators() func(kid [8]byte) (ed25519.PublicKey, bool) {
	return k.finder(func(key Key) bool { return key.Role == topics.RoleOperator })
}

// finder finds the keys of some that are not revoked, as package record wants
// them.
func (k *Keys) finder(of func(Key) bool) func(kid [8]byte) (ed25519.PublicKey, bool) {
	return func(kid [8]byte) (ed25519.PublicKey, bool) {
		key, ok := k.Of(kid)
		if !ok || key.Revoked || !of(key) {
			return nil, false
		}
		return key.Public, true
	}
}

// HasAggregator reports whether the aggregator at a node has a key that is not
// revoked.
func (k *Keys) HasAggregator(path string) bool {
	for _, key := range k.byID {
		if key.Role == topics.RoleAggregator && key.Path == path && !key.Revoked {
			return true
		}
	}
	return false
}

// KeyIDOf names an Ed25519 public key (W-10).
func KeyIDOf(pub ed25519.PublicKey) [8]byte { return keyID(suiteOne, pub) }

// maxPEM is more than any key file has.
const maxPEM = 16 << 10

// LoadPrivateKeyPEM reads an Ed25519 private key as "openssl genpkey -algorithm
// ed25519" writes it (PKCS #8 in PEM). A file that others than its owner may read
// is refused, but for one of root's that the group may read, and on Windows,
// which has no such modes.
func LoadPrivateKeyPEM(path string) (ed25519.PrivateKey, error) {
	der, err := loadPEM(path, "PRIVATE KEY", true)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("wire: private key %s: %w", path, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("wire: private key %s: want Ed25519, got %T", path, key)
	}
	return ed, nil
}

// LoadPublicKeyPEM reads an Ed25519 public key as "openssl pkey -pubout" writes
// it (SubjectPublicKeyInfo in PEM).
func LoadPublicKeyPEM(path string) (ed25519.PublicKey, error) {
	der, err := loadPEM(path, "PUBLIC KEY", false)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("wire: public key %s: %w", path, err)
	}
	ed, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("wire: public key %s: want Ed25519, got %T", path, key)
	}
	return ed, nil
}

// loadPEM returns the content of the one PEM block of a file. A private key
// is one that secret.Open opens.
func loadPEM(path, want string, private bool) ([]byte, error) {
	open := os.Open
	if private {
		open = secret.Open
	}
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("wire: key file: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, fmt.Errorf("wire: key file: %w", err)
	}
	if len(text) <= maxPEM {
		if text, err = textfile.PEM(path, text); err != nil {
			return nil, fmt.Errorf("wire: key file: %w", err)
		}
	}
	block, rest := pem.Decode(text)
	if len(text) > maxPEM || block == nil || block.Type != want {
		return nil, fmt.Errorf("wire: key file %s: want one PEM block %q", path, want)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("wire: key file %s: more than one PEM block", path)
	}
	return block.Bytes, nil
}
