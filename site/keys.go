package site

import (
	"crypto/ed25519"
	"errors"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// ofAggregator reports whether a key is one of the aggregator at a path.
func ofAggregator(k wire.Key, path string) bool {
	return k.Role == topics.RoleAggregator && k.Path == path && !k.Revoked
}

// aggregatorKeys finds the keys of the aggregator at a path.
func (c Config) aggregatorKeys(path string) record.Keys {
	return func(kid [8]byte) (ed25519.PublicKey, bool) {
		for _, k := range c.Keys {
			if ofAggregator(k, path) && len(k.Public) == ed25519.PublicKeySize && record.KeyIDOf(k.Public) == kid {
				return k.Public, true
			}
		}
		return nil, false
	}
}

// opener is what opens the messages of the aggregators.
func (c Config) opener(ns topics.Namespace) (wire.Opener, error) {
	o := wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	if len(c.Keys) == 0 {
		return o, nil
	}
	var err error
	o.Keys, err = wire.NewKeys(c.Keys...)
	return o, err
}

// security says as records and aggregators do (RC-9) whether messages are signed.
func (c Config) security() string {
	if c.Signer == nil {
		return record.Unsigned
	}
	return record.Signed
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
		if c.Signer != nil && !c.knows(t) {
			return errors.New("task " + t.Name + ": no key of its aggregator")
		}
	}
	return nil
}

// knows reports whether there is a key of a task's aggregator.
func (c Config) knows(t Task) bool {
	for _, k := range c.Keys {
		if ofAggregator(k, t.Owner) {
			return true
		}
	}
	return false
}
