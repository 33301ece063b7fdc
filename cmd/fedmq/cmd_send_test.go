package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/contract"
	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// What `fedmq send` publishes is as docs/ref/schema/command.json says.
func TestCommandSchema(t *testing.T) {
	t.Parallel()
	schemas, err := contract.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "operator.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"", key} {
		for _, op := range []string{"start", "pause", "pause_now", "resume", "stop", "exclude", "include", "release", "rollback"} {
			var args *aggregator.Args
			switch op {
			case "exclude", "include":
				args = &aggregator.Args{Members: []string{"berlin/line-1"}}
			case "release", "rollback":
				args = &aggregator.Args{Version: new(uint64(3))}
			}
			b, err := commandPayload("acme/_fl_v1/t/command", "1", op, watch.Aim{Round: 7, Pause: "p", Origin: wire.Nonce{0x0f, 0xed}}, args, sign)
			if err != nil {
				t.Fatal(err)
			}
			if err := schemas.Check(topics.Command, b); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
}
