package aggregator

import (
	"encoding/json"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// layout bounds the topics for parts of the model that may hold something
// retained: slot and part are below these numbers.
type layout struct {
	Slots int `json:"slots"`
	Parts int `json:"parts"`
}

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
		if raw != nil {
			if err := json.Unmarshal(raw, &had); err != nil {
				return err
			}
		}
		if t.layout = t.ownLayout(); t.layout == had {
			return nil
		}
		for slot := range had.Slots {
			for part := range had.Parts {
				if slot >= t.layout.Slots || part >= t.layout.Parts {
					stale = append(stale, transfer.PartFilter{Slot: uint32(slot), Index: uint32(part)}) // few
				}
			}
		}
		return t.putLayout(tx, layout{max(had.Slots, t.layout.Slots), max(had.Parts, t.layout.Parts)})
	})
	return stale, err
}

// ownLayout is what the task's configuration uses; an inline model none.
func (t *task) ownLayout() layout {
	if fitsInline(t.cfg.Init.Schema, t.a.cfg.PartSize) {
		return layout{}
	}
	data := t.a.cfg.PartSize - wire.PartOverhead
	return layout{Slots: t.cfg.Slots, Parts: (t.cfg.Init.Schema.Bytes()-1)/data + 1}
}

func (t *task) putLayout(tx *store.Tx, l layout) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, t.layoutKey(), raw)
}
