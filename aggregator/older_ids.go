package aggregator

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// reidentify has a task go on whose records have content ids that are plain SHA-256, as
// an older fedmq made them: an adoption says what model and state are by the ids of now
// (RC-25). The blobs of before keep their names, by which records of before are verified.
func (t *task) reidentify(st *round.State, members []round.Member) error {
	if st == nil { // a crash between the genesis and the first state
		st = t.roundConfig().First()
	}
	last := t.keeping.versions[len(t.keeping.versions)-1]
	id, err := t.renamed(last.content)
	if err != nil {
		return fmt.Errorf("base model %s: %w", last.content, err)
	}
	state, err := t.renamed(last.state)
	if err != nil {
		return fmt.Errorf("state of strategy and optimiser %s: %w", last.state, err)
	}
	rnd, now := t.last.Round+1, t.a.nowMS()
	sealed, err := t.sealed(record.Record{
		Round: rnd, Epoch: st.Epoch + 1, Verdict: record.Adopted, Work: workInit,
		Base: last.content, Model: id, Version: rnd, State: state, OpenedMS: now, ClosedMS: now, CommittedMS: now,
		Reason: fmt.Sprintf("content ids are trees from here on; the model is that of version %d", last.number),
	}, t.keeping.tip)
	if err != nil {
		return err
	}
	if err := t.takeUp(sealed, st.Adopt(members, st.Epoch, rnd, id, sealed.Hash)); err != nil {
		return err
	}
	t.log.Warn().Uint64("round", rnd).Stringer("was", last.content).Stringer("model", id).
		Msg("an older fedmq named models by another kind of content id: the task goes on with the same model under a new name; " +
			"what was accepted in the round that was open is trained again")
	return nil
}

// renamed puts a blob of before under the content id of now, none for none.
func (t *task) renamed(plain model.Hash) (model.Hash, error) {
	if plain.IsZero() {
		return plain, nil
	}
	b, err := t.a.store.PlainBlob(plain)
	if err != nil {
		return model.Hash{}, err
	}
	leaves, err := t.a.store.AddBlob(b, true, nil)
	return leaves.ID(len(b)), err
}
