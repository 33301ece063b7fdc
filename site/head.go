package site

import (
	"crypto/ed25519"
	"errors"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// openHead verifies and reads the head of a record (S-15). It is JSON, so what
// is wrong with it is told in the words of the envelope's checks.
func (s *site) openHead(t *task, b []byte) (record.Head, error) {
	refuse := func(reason string, stage int, detail string) (record.Head, error) {
		return record.Head{}, &wire.Refusal{Reason: reason, Stage: stage, Detail: detail}
	}
	h, err := record.DecodeHead(b)
	switch {
	case err != nil:
		return refuse(wire.ReasonMalformed, wire.StageDecode, err.Error())
	case h.Owner != t.owner.Node() || h.Task != t.Name:
		return refuse(wire.ReasonWrongTopic, wire.StageSender, "a record of another task")
	case h.Origin != t.m.Origin() && !t.m.Origin().IsZero():
		return refuse(wire.ReasonOtherOrigin, wire.StageRound, "a record of a former life of the task")
	}
	if s.opener.Keys != nil {
		if err := record.VerifyHeadSig(b, s.keysOf(t)); err != nil {
			return refuse(wire.ReasonBadSignature, wire.StageSignature, err.Error())
		}
	}
	return h, nil
}

// keysOf finds the keys of a task's aggregator.
func (s *site) keysOf(t *task) record.Keys {
	return func(kid [8]byte) (ed25519.PublicKey, bool) {
		for _, k := range s.cfg.Keys {
			if k.Role == topics.RoleAggregator && k.Path == t.Owner && !k.Revoked &&
				len(k.Public) == ed25519.PublicKeySize && record.KeyIDOf(k.Public) == kid {
				return k.Public, true
			}
		}
		return nil, false
	}
}

// openerOf makes the opener of a configuration.
func openerOf(ns topics.Namespace, cfg Config) (wire.Opener, error) {
	o := wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	if len(cfg.Keys) == 0 {
		return o, nil
	}
	var err error
	o.Keys, err = wire.NewKeys(cfg.Keys...)
	return o, err
}

// checkKeys reports what is wrong with the keys of a configuration.
func (c Config) checkKeys() error {
	if (c.Signer == nil) != (len(c.Keys) == 0) {
		return errors.New("signing needs both this site's key and the aggregators' keys")
	}
	if _, err := wire.NewKeys(c.Keys...); err != nil {
		return err
	}
	for _, t := range c.Tasks {
		known := c.Signer == nil
		for _, k := range c.Keys {
			known = known || k.Role == topics.RoleAggregator && k.Path == t.Owner && !k.Revoked
		}
		if !known {
			return errors.New("task " + t.Name + ": no key of its aggregator")
		}
	}
	return nil
}
