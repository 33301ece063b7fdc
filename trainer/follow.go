package trainer

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// Follower is an optional part of a Trainer that may know nothing of the model: it reads
// what the task's contract says, which comes with the model.
type Follower interface {
	// Follows reports that it does.
	Follows() bool
	// Follow has it read its rows as c says, which is called before everything else of a
	// job; with what it follows already it does nothing. An error makes the site decline.
	Follow(c *pipeline.Contract) error
}

// Follows reports that t takes what a model means from the task.
func Follows(t Trainer) bool {
	f, ok := t.(Follower)
	return ok && f.Follows()
}

// ErrContract is wrapped by what keeps a Follower from following.
var ErrContract = errors.New("trainer: the task's contract cannot be followed")

// Follow has t follow the contract c of a task, of which an order names the hash. Who
// does not follow is let be.
func Follow(t Trainer, c *pipeline.Contract, hash model.Hash) error {
	if !Follows(t) {
		return nil
	}
	if c == nil && !hash.IsZero() {
		return fmt.Errorf("%w: this site lists no features, and the task's have not come with its model, whose message may have no room for them: want a larger part_size at the aggregator, shorter names, or features here", ErrContract)
	}
	if c == nil || hash.IsZero() || c.Hash() != hash {
		return fmt.Errorf("%w: this site lists no features, and none have come with the task's model: want contract of the task at the aggregator, or features at one site", ErrContract)
	}
	if err := t.(Follower).Follow(c); err != nil {
		return fmt.Errorf("%w: %w", ErrContract, err)
	}
	return nil
}
