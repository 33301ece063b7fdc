package site

import (
	"crypto/sha256"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
)

// Names for what tests tell apart.
func hash(s string) [32]byte           { return sha256.Sum256([]byte(s)) }
func content(s string) model.ContentID { return model.ContentID(hash(s)) }
func named(s string) (n member.Nonce)  { copy(n[:], s); return n }
