// Package strategy turns the accepted updates of one train round into the next
// global model. Start with [New], then Begin, Check and Add for every update,
// and Result.
//
// A strategy sees models, weights and the round's grid, never members, time or
// messages: the same updates give the same bits wherever they are folded.
package strategy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

var (
	// ErrUnknown means that no strategy has the wanted name.
	ErrUnknown = errors.New("strategy: unknown")
	// ErrUnsupported means a model that the strategy cannot average.
	ErrUnsupported = errors.New("strategy: unsupported model")
	// ErrEmpty means a result without any update.
	ErrEmpty = errors.New("strategy: no update to average")
)

// Strategy folds the accepted updates of one train round at a time. It is not
// safe for concurrent use.
type Strategy interface {
	// Name returns the name given to [New].
	Name() string
	// Begin starts a round or an attempt on the base model, with nothing in the
	// sum. The base must not change until Result. Errors wrap [ErrUnsupported],
	// model.ErrSchema, fold.ErrGrid or fold.ErrNotFinite.
	Begin(base *model.Model, g fold.Grid) error
	// Check reports whether an update of weight samples can be added, and adds
	// nothing. The update is a delta (local - base) in the schema
	// base.Schema.Shared(). Errors wrap, in this order of precedence,
	// model.ErrSchema, fold.ErrNotFinite, fold.ErrOutOfRange or fold.ErrFull.
	Check(delta *model.Model, weight uint64) error
	// CheckPart is Check for the bytes of an update from offset off on, as they
	// arrive: values that lie in them only in part are not looked at.
	CheckPart(part []byte, off int, weight uint64) error
	// Add adds an update that has passed Check with the same weight. The delta
	// is not kept.
	Add(delta *model.Model, weight uint64)
	// Result returns the next model in the base's whole schema; tensors of the
	// rule keep are the base's. Errors wrap [ErrEmpty] or fold.ErrNotFinite.
	Result() (*model.Model, error)
	// ResultInto is Result with the next model's bytes in blob, which has the
	// length of the base's and is not it.
	ResultInto(blob []byte) (*model.Model, error)
}

var known = []struct {
	name string
	make func() Strategy
}{
	{"fedavg", func() Strategy { return new(fedAvg) }},
}

// Names returns the names that [New] takes.
func Names() []string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	return names
}

// New returns the strategy called name, one of [Names]; errors wrap [ErrUnknown].
func New(name string) (Strategy, error) {
	for _, k := range known {
		if k.name == name {
			return k.make(), nil
		}
	}
	return nil, fmt.Errorf("%w: %.64q, known: %s", ErrUnknown, name, strings.Join(Names(), ", "))
}
