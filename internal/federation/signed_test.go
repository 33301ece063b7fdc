package federation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
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

// TestSigned: a federation with keys commits signed records; a site whose key
// is not listed stays outside, and a command needs an operator's signature.
func TestSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keys = &keyring{members: []string{"a", "b"}}
	gate := make(chan struct{}, 10)
	a := w.aggregate(w.config(func(t *aggregator.Task) { t.StartWhen = 2 }))
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20, gate: gate}), w.site("x", seeded{samples: 99})}
	waitFor(t, w, "the stranger's join is refused and a is in", func(v view) bool {
		return v.Refusals["unknown_member"] > 0 && v.Accepted == 1
	})
	unsigned := []byte(`{"schema":"fedmq.command.v1","id":"1","command":"stop","at_round":1,"timestamp_ms":1}`)
	command := func(op, topic string, k ed25519.PrivateKey) []byte {
		b, err := json.Marshal(aggregator.Command{Schema: aggregator.CommandSchema, ID: "for " + topic, Command: round.Op(op), AtRound: 1, TimestampMS: 1, Topic: topic})
		if err == nil {
			b, err = record.SignCommand(b, k)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	events := w.client(t, "operator", "acme/_fl_v1/"+task+"/event")
	waitFresh(t, w)
	events.publish("acme/_fl_v1/"+task+"/command", unsigned, false)
	events.next("the unsigned command is refused", isEvent(round.FactCommand, "refused: this task is signed"))
	for _, place := range []string{"", "acme/_fl_v1/other/command", "acme/plant/_fl_v1/" + task + "/command", "acme2/_fl_v1/" + task + "/command"} {
		events.publish("acme/_fl_v1/"+task+"/command", command("pause", place, key("operator")), false)
		events.next("a command that was signed for "+place, isEvent(round.FactCommand, "refused: made for the topic"))
	}
	events.publish("acme/_fl_v1/"+task+"/command", command("pause", "acme/_fl_v1/"+task+"/command", key("operator")), false)
	events.next("the signed command is done", isEvent(round.FactCommand, "pause"))
	close(gate)
	r := a.until(t, 1)
	events.stop()
	w.stopAll(append(sites, a.party)...)
	if r.Security != record.Signed || len(r.Entries) != 2 || r.Counts()["counted"] != 2 {
		t.Errorf("round 1: %s, %v; want signed, 2 counted of 2", r.Security, r.Counts())
	}
	w.recorded()
}
