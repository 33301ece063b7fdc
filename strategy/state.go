package strategy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/model"
)

// part is what the optimiser, or the strategy, of this name keeps from round to
// round, or the guard. A state is two of them, the optimiser's first, and the guard's
// as the third where it keeps something: the name with its length in a byte before it,
// and the bytes with their length in 8 (F-17).
type part struct {
	name string
	data []byte
}

// head appends what stands before n bytes of a part, nothing of which is said
// where there are none.
func head(b []byte, name string, n int) []byte {
	if n == 0 {
		name = ""
	}
	b = append(append(b, byte(len(name))), name...) // at most 64 and 17, Registry.Check and stateName
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

// parts reads a state; nil has nothing in it.
func parts(state []byte) (server, strategy, guard part, err error) {
	rest := state
	for i, p := range []*part{&server, &strategy, &guard} {
		if state == nil || i == 2 && len(rest) == 0 {
			break
		}
		if len(rest) < 9 || len(rest) < 9+int(rest[0]) {
			return server, strategy, guard, fmt.Errorf("%w: a state of %d bytes that ends early", model.ErrSchema, len(state))
		}
		name, tail := rest[1:1+int(rest[0])], rest[1+int(rest[0]):]
		n := binary.LittleEndian.Uint64(tail)
		if n > uint64(len(tail)-8) {
			return server, strategy, guard, fmt.Errorf("%w: a state of %d bytes that ends early", model.ErrSchema, len(state))
		}
		if p.name, rest = string(name), tail[8+n:]; n > 0 {
			p.data = tail[8 : 8+n]
		}
	}
	if len(rest) > 0 {
		return server, strategy, guard, fmt.Errorf("%w: %d bytes after a state", model.ErrSchema, len(rest))
	}
	return server, strategy, guard, nil
}

// carried returns what the strategy of this name has left in a state.
func carried(state []byte, name string) ([]byte, error) {
	_, p, _, err := parts(state)
	if p.name != name {
		return nil, err
	}
	return p.data, err
}

// stateSize is how many bytes an optimiser keeps of n coordinates.
func stateSize(opt Optimiser, n int) int {
	if opt.Slots() == 0 {
		return 0
	}
	return 8 + 8*n*opt.Slots()
}

// StateSize returns how many bytes a server optimiser with these parameters keeps from
// round to round for a model of this schema. Errors wrap [ErrUnknown] or [ErrSetting].
func (g Registry) StateSize(server string, params Settings, s model.Schema) (int, error) {
	opt, _, err := g.optimiser(cmp.Or(server, SGD), params)
	if err != nil {
		return 0, err
	}
	return stateSize(opt, s.Shared().Elements()), nil
}

// begin takes over what the round before has left of n coordinates. A state of
// another optimiser, or of other parameters, ends here; the new one begins with the base.
func (o *Output) begin(before []byte, n int) error {
	server, _, _, err := parts(before)
	if err != nil {
		return err
	}
	size := stateSize(o.optimiser, n)
	switch name, _, _ := strings.Cut(server.name, " "); {
	case len(server.data) == 0 || server.name == o.label && len(server.data) == size:
	case server.name == o.label:
		return fmt.Errorf("%w: a state of %d bytes for %s, want %d", model.ErrSchema, len(server.data), name, size)
	case name == o.optimiser.Name():
		o.Note("what the server optimiser %s has kept is dropped: it begins anew with other parameters", name)
		server = part{}
	default:
		o.Note("what the server optimiser %s has kept is dropped: %s begins anew", name, o.optimiser.Name())
		server = part{}
	}
	o.step = 1
	if size == 0 {
		return nil
	}
	before = head(nil, o.label, size)
	o.state = make([]byte, len(before)+size)
	copy(o.state, before)
	data := o.state[len(before):]
	if len(server.data) != 0 {
		copy(data, server.data)
		o.step += binary.LittleEndian.Uint64(server.data)
	}
	binary.LittleEndian.PutUint64(data, o.step)
	o.kept = data[8:]
	return nil
}

// left is the state after the round, nil if nothing is kept.
func (o *Output) left(strategy string, guard []byte) []byte {
	if o.state == nil && len(o.carry) == 0 && guard == nil {
		return nil
	}
	if o.state == nil {
		o.state = head(nil, "", 0)
	}
	b := append(head(o.state, strategy, len(o.carry)), o.carry...)
	if guard != nil {
		b = append(head(b, guardPart, len(guard)), guard...)
	}
	return b
}

// slot is the values of one slot from a coordinate on.
func (o *Output) slot(k, at int) []byte {
	size := len(o.kept) / o.optimiser.Slots()
	return o.kept[k*size+8*at : (k+1)*size]
}
