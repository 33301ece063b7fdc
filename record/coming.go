package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
)

// Coming are members of a record whose form is fixed, and which no record of this
// version has: one that has them is refused by their names (RC-24).
type Coming struct {
	Policy model.Hash `json:"policy,omitzero"` // hash of the owner's policy
}

// ComingOfHead are those of a head: what a record has of them, in short.
type ComingOfHead struct {
	Policy model.Hash `json:"policy,omitzero"`
}

// unused is the error for what is there of some members.
func unused(there map[string]bool) error {
	maps.DeleteFunc(there, func(_ string, is bool) bool { return !is })
	names := slices.Sorted(maps.Keys(there))
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%s: this version does not use that", strings.Join(names, ", "))
}

func (c Coming) check() error {
	return unused(map[string]bool{"policy": !c.Policy.IsZero()})
}

func (c ComingOfHead) check() error {
	return unused(map[string]bool{"policy": !c.Policy.IsZero()})
}
