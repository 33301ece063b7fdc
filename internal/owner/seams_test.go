package owner

import (
	"reflect"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// A second publication lies beside the model's, with slots and PUBACKs of its own: a
// version that is released, say. Neither waits for the other.
func TestSecondPublication(t *testing.T) {
	t.Parallel()
	blob := wire.Blob{Length: 8, Data: 4, Hashes: make([]byte, 2*wire.PartHash)}
	main, released := newPublication(2, nil, OwnModel, OwnHead, OwnOrder), newPublication(3, nil, OwnReleased)
	order := func(version uint64) round.Order {
		return round.Order{Stamp: wire.Stamp{Epoch: 1, Round: version + 1, Attempt: 1}, Base: model.Hash{byte(version)}, Version: version}
	}
	for _, p := range []*publication{&main, &released} {
		p.connected(1)
	}
	main.publish(order(5), Model{Content: model.Hash{5}}, true, 1)
	released.publish(order(4), Model{Content: model.Hash{4}, Blob: blob}, true, 1)
	if m := main.ready(1); len(m) != 2 || !reflect.DeepEqual(m[1], SendOwn{[]Own{OwnModel, OwnHead, OwnOrder}}) {
		t.Errorf("the order: %+v", m)
	}
	if m := released.ready(1); len(m) != 2 || m[1] != Message(SendPart{Own: OwnReleased, Version: 4, Slot: 1}) {
		t.Errorf("what is released: %+v", m)
	}
	for i := range uint32(2) {
		released.partSent(PartSent{Version: 4, Index: i, OK: true}, 2)
		released.ready(2)
	}
	if _, out := released.sent(true, 3); !out || main.done {
		t.Errorf("the manifest is out: %v; so is the order: %v", out, main.done)
	}
	if o, out := main.sent(true, 4); !out || o.Round != 6 || !main.done {
		t.Error("the order is not out")
	}
}
