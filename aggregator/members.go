package aggregator

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
)

// saveMembers writes the members that have changed within a transaction. Each
// has a value of its own, so that a join costs the same among ten thousand.
func (t *task) saveMembers(tx *store.Tx, list []round.Place) error {
	for _, p := range list {
		raw, err := json.Marshal(p.Member)
		if err != nil {
			return err
		}
		if err := tx.PutMember(t.cfg.Name, p.Index, raw); err != nil {
			return err
		}
	}
	return nil
}

// loadMembers reads all members, by index.
func (t *task) loadMembers(tx *store.Tx) (list []round.Member, err error) {
	err = tx.MembersOf(t.cfg.Name, func(index uint32, raw []byte) error {
		if int(index) != len(list) {
			return fmt.Errorf("member %d on disk: there is no member %d", index, len(list))
		}
		var m round.Member
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("member %d on disk: %w", index, err)
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

// moveMembers takes the members out of the state, where directories of layout 1
// have them.
func (t *task) moveMembers() error {
	var state []byte
	if err := t.a.store.View(func(tx *store.Tx) (err error) {
		state, err = tx.State(t.cfg.Name)
		return err
	}); err != nil || state == nil {
		return err
	}
	var former struct {
		round.State
		Members []round.Member `json:"members"`
	}
	if err := json.Unmarshal(state, &former); err != nil {
		return fmt.Errorf("state on disk: %w", err)
	}
	if len(former.Members) == 0 {
		return nil
	}
	t.log.Info().Int("members", len(former.Members)).Msg("members moved to values of their own")
	places := make([]round.Place, len(former.Members))
	for i, m := range former.Members {
		places[i] = round.Place{Index: uint32(i), Member: m} // at most maxMembers
	}
	return t.a.store.Update(func(tx *store.Tx) error {
		if err := t.saveMembers(tx, places); err != nil {
			return err
		}
		raw, err := json.Marshal(former.State)
		if err != nil {
			return err
		}
		return tx.PutState(t.cfg.Name, raw)
	})
}
