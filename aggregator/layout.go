package aggregator

import (
	"encoding/json"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

func (t *task) layoutKey() string { return store.Key(t.cfg.Name, "layout") }

// loadLayout notes which topics an earlier configuration used and this one
// does not, and makes durable what may be used from now on, before it is.
func (t *task) loadLayout() (stale []transfer.PartFilter, err error) {
	var had layout
	err = t.a.store.Update(func(tx *store.Tx) error {
		raw, err := tx.Get(store.Task, t.layoutKey())
		if err != nil {
			return err
		}
		t.layout = t.ownLayout()
		if raw == nil {
			return t.putLayout(tx, t.layout)
		}
		if err := json.Unmarshal(raw, &had); err != nil {
			return err
		}
		if t.layout == had {
			return nil
		}
		moved := t.layout.Bulk != had.Bulk
		if moved {
			stale = append(stale, owner.TheModel)
		}
		for slot := range had.Slots {
			for part := range had.Parts {
				if moved || slot >= t.layout.Slots || part >= t.layout.Parts {
					stale = append(stale, transfer.PartFilter{Slot: uint32(slot), Index: uint32(part)}) // few
				}
			}
		}
		return t.putLayout(tx, layout{max(had.Slots, t.layout.Slots), max(had.Parts, t.layout.Parts), had.Bulk})
	})
	if err != nil {
		return nil, err
	}
	t.former, err = t.below(had.Bulk)
	return stale, err
}

// below is the task with its models below a root of bulk that it may have had.
func (t *task) below(root string) (topics.Owner, error) {
	ns, err := t.a.ns.WithBulk(root)
	if err != nil {
		return topics.Owner{}, err
	}
	o, err := ns.Owner(t.a.cfg.Owner, t.cfg.Name)
	if err != nil {
		return o, err
	}
	return o.Below(root)
}

// ownLayout is what the task's configuration uses; an inline model none.
func (t *task) ownLayout() layout {
	if fitsInline(t.cfg.Init.Schema, t.a.cfg.PartSize) {
		return layout{Bulk: t.a.cfg.Bulk}
	}
	data := wire.PartData(t.a.cfg.PartSize)
	return layout{Slots: t.cfg.Slots, Parts: (t.cfg.Init.Schema.Bytes()-1)/data + 1, Bulk: t.a.cfg.Bulk}
}

func (t *task) putLayout(tx *store.Tx, l layout) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, t.layoutKey(), raw)
}
