package site

import (
	"errors"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

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
	keys, err := wire.NewKeys(c.Keys...)
	if err != nil {
		return err
	}
	for _, t := range c.Tasks {
		if c.Signer != nil && !keys.HasAggregator(t.Owner) {
			return errors.New("task " + t.Name + ": no key of its aggregator")
		}
	}
	return nil
}
