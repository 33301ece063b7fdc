package federation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// keyring gives every party of a signed federation a key that follows from its
// name; "" is the aggregator.
type keyring struct{ members []string }

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey { return key(name).Public().(ed25519.PublicKey) }

func (k *keyring) signer(t *testing.T, name string) *wire.Signer {
	t.Helper()
	s, err := wire.NewSigner(key(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (k *keyring) site(t *testing.T, member string) (*wire.Signer, []wire.Key) {
	t.Helper()
	return k.signer(t, member), []wire.Key{{Role: topics.RoleAggregator, Public: public("")}}
}

func (k *keyring) aggregator(t *testing.T) (*wire.Signer, []wire.Key) {
	t.Helper()
	keys := []wire.Key{{Role: topics.RoleOperator, Public: public("operator")}}
	for _, m := range k.members {
		keys = append(keys, wire.Key{Path: m, Role: topics.RoleSite, Public: public(m)})
	}
	return k.signer(t, ""), keys
}
