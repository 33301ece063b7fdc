package site

import (
	"crypto/sha256"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Names for what tests tell apart.
func hash(s string) [32]byte        { return sha256.Sum256([]byte(s)) }
func content(s string) model.Hash   { return model.Hash(hash(s)) }
func named(s string) (n wire.Nonce) { copy(n[:], s); return n }
