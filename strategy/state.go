package strategy

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// A state is the optimiser's name, with its length in a byte before it, the
// number of steps in 8 bytes, and the float64 values by slot and coordinate, all
// little-endian (F-17).

// stateSize is the length of a state of n coordinates, 0 for an optimiser without.
func stateSize(opt Optimiser, n int) int {
	if opt.Slots() == 0 {
		return 0
	}
	return 1 + len(opt.Name()) + 8 + 8*n*opt.Slots()
}

// StateSize returns how many bytes a server optimiser keeps from round to round
// for a model of this schema. Errors wrap [ErrUnknown].
func (g Registry) StateSize(server string, s model.Schema) (int, error) {
	opt, err := find("optimiser", orElse(server, SGD), optimisers, g.Optimisers)
	if err != nil {
		return 0, err
	}
	return stateSize(opt, s.Shared().Elements()), nil
}

// begin takes over the state of n coordinates that the round before has left. A
// state of another optimiser ends here; the new one begins with the base.
func (o *Output) begin(before []byte, n int) error {
	name := append([]byte{byte(len(o.optimiser.Name()))}, o.optimiser.Name()...) // #nosec G115 -- Registry.Check
	size := stateSize(o.optimiser, n)
	if size > 0 {
		o.state = make([]byte, size)
		copy(o.state, name)
		o.kept = o.state[len(name)+8:]
	}
	switch {
	case before == nil:
	case !bytes.HasPrefix(before, name):
		o.Note("the state of the server optimiser before is dropped: %s begins anew", o.optimiser.Name())
	case len(before) != size:
		return fmt.Errorf("%w: a state of %d bytes for %s, want %d", model.ErrSchema, len(before), o.optimiser.Name(), size)
	default:
		copy(o.state, before)
		o.step = binary.LittleEndian.Uint64(before[len(name):])
	}
	o.step++
	if size > 0 {
		binary.LittleEndian.PutUint64(o.state[len(name):], o.step)
	}
	return nil
}

// slot is the values of one slot from a coordinate on.
func (o *Output) slot(k, at int) []byte {
	size := len(o.kept) / o.optimiser.Slots()
	return o.kept[k*size+8*at : (k+1)*size]
}
