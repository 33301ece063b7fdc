package aggregator

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// finish computes the model after the round, its bytes in the sum's buffer; or brings back
// a former version with what strategy, guard and server optimiser had left.
func (t *task) finish(c round.Commit) (made strategy.Result, err error) {
	if c.To == nil {
		return t.sum.finish(c.Accepted, c.Entries)
	}
	v := t.keeping.versionOf(c.To.Version)
	if v.content != c.To.Model {
		return made, fmt.Errorf("version %d is not on the disk any more", c.To.Version)
	}
	made.Model = &model.Model{Schema: t.base.Schema}
	if made.Model.Blob, err = t.a.store.Blob(v.content); err != nil {
		return made, err
	}
	if !v.state.IsZero() {
		made.State, err = t.a.store.Blob(v.state)
	}
	return made, err
}

// whole is a version that is on the disk with all that belongs to it; the zero one if it is
// not.
func (k *keeping) whole(number uint64) version {
	v := k.versionOf(number)
	if !k.store.FindBlob(v.content) || !v.state.IsZero() && !k.store.FindBlob(v.state) {
		return version{}
	}
	return v
}

// rolledBackTo is what a record says of a rollback.
func rolledBackTo(to *round.Released) *uint64 {
	if to == nil {
		return nil
	}
	return &to.Version
}
