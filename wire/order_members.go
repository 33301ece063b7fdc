package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// OrderStrategy is how the updates of an order become a model.
type OrderStrategy struct {
	Name   string          `json:"name"`   // a word
	Params json.RawMessage `json:"params"` // JSON object, at most 16 KiB; nil = {}
}

// Local is what the strategy needs of local training, beyond steps of the trainer's own.
type Local struct {
	Needs []string `json:"needs"`        // words: capabilities; ascending
	Mu    float64  `json:"mu,omitempty"` // 0 and up; of the need mu
}

// NeedCorrection is the need of a strategy whose model has control variates.
const NeedCorrection = "correction"

// Corrects reports that gradients are to be corrected.
func (l *Local) Corrects() bool { return l != nil && slices.Contains(l.Needs, NeedCorrection) }

// Roster is the list of keys under which an order is given.
type Roster struct {
	Version uint32     `json:"version"` // from 1 up
	Hash    model.Hash `json:"hash"`
}

// SecAgg is what secure aggregation fixes in an order.
type SecAgg struct {
	Suite       uint8     `json:"suite"` // 1 or 2
	Ring        uint8     `json:"ring"`  // bits: 32 or 64
	Fraction    uint8     `json:"f"`     // bits of it behind the point
	Members     uint32    `json:"n"`     // of the cohort
	Threshold   uint32    `json:"t"`     // of them that are enough
	MinMembers  uint32    `json:"min_members"`
	Bound       float64   `json:"bound"` // of a value
	MaxWeight   uint64    `json:"n_max,string"`
	DeadlinesMS [5]uint64 `json:"deadlines_ms"` // of the phases, from the order on
}

// Most of what an order lists.
const (
	maxCohort   = 128
	maxPatterns = 64
)

// orderMembers are those of an order (W-45), in byte order of their names.
func orderMembers(o *Order) []member {
	return []member{
		{"?contract", true, hashOf{&o.Contract}},
		{"?late", true, numberOf{&o.Late}},
		{"?rolled", true, numberOf{&o.Rolled}},
		{"bulk", true, textOf{&o.Bulk, topics.MaxNode}},
		{"cohort", false, textsOf{&o.Cohort, maxCohort, topics.MaxNode}},
		{"content", false, textOf{&o.ContentKind, maxEncoding}},
		{"encoding", true, textOf{&o.Encoding, maxEncoding}},
		{"keep", true, textsOf{&o.Keep, maxPatterns, model.MaxName}},
		{"local", true, localOf{&o.Local}},
		{"roster", false, rosterOf{&o.Roster}},
		{"secagg", false, secAggOf{&o.SecAgg}},
		{"share", true, textsOf{&o.Share, maxPatterns, model.MaxName}},
		{"strategy", true, strategyOf{&o.Strategy}},
		{"thresholds", true, numbersOf{&o.Thresholds}},
	}
}

type strategyOf struct{ p **OrderStrategy }

func (v strategyOf) set() bool { return *v.p != nil }

func (v strategyOf) check() error {
	return cmp.Or(checkWord("name", (*v.p).Name), checkSettings((*v.p).params()))
}

func (s *OrderStrategy) params() []byte {
	if s.Params == nil {
		return []byte("{}")
	}
	return s.Params
}

func (v strategyOf) put(b []byte) []byte {
	return appendStr(appendStr(appendArray(b, 2), (*v.p).Name), string((*v.p).params()))
}

func (v strategyOf) get(r *reader, name string) {
	r.array(name, 2)
	*v.p = &OrderStrategy{Name: r.word("name"), Params: r.raw("params", maxSettings)}
}

type localOf struct{ p **Local }

func (v localOf) set() bool { return *v.p != nil }

func (v localOf) check() error {
	l := *v.p
	if !finite(l.Mu) || l.Mu < 0 {
		return fmt.Errorf("want a finite mu of 0 or more, got %v", l.Mu)
	}
	for _, need := range l.Needs {
		if err := checkWord("needs", need); err != nil {
			return err
		}
	}
	return textsOf{&l.Needs, maxMembers, maxWord}.check()
}

func (v localOf) put(b []byte) []byte {
	return appendFloat(textsOf{&(*v.p).Needs, maxMembers, maxWord}.put(appendArray(b, 2)), (*v.p).Mu)
}

func (v localOf) get(r *reader, name string) {
	r.array(name, 2)
	l := &Local{}
	textsOf{&l.Needs, maxMembers, maxWord}.get(r, "needs")
	l.Mu = r.float("mu")
	*v.p = l
}

type rosterOf struct{ p **Roster }

func (v rosterOf) set() bool { return *v.p != nil }

func (v rosterOf) check() error {
	if (*v.p).Version == 0 {
		return fmt.Errorf("want a version of 1 at least")
	}
	return hashOf{&(*v.p).Hash}.check()
}

func (v rosterOf) put(b []byte) []byte {
	return appendBin(appendUint(appendArray(b, 2), uint64((*v.p).Version)), (*v.p).Hash[:])
}

func (v rosterOf) get(r *reader, name string) {
	r.array(name, 2)
	*v.p = &Roster{Version: r.uint32("version")}
	r.fixed("hash", (*v.p).Hash[:], false)
}

type secAggOf struct{ p **SecAgg }

const secAggFields = 9

func (v secAggOf) set() bool { return *v.p != nil }

func (v secAggOf) check() error {
	s := *v.p
	if (s.Suite != 1 && s.Suite != 2) || (s.Ring != 32 && s.Ring != 64) || s.Fraction >= s.Ring {
		return fmt.Errorf("want suite 1 or 2, ring 32 or 64 and f below it, got %d, %d and %d", s.Suite, s.Ring, s.Fraction)
	}
	if s.Members < 3 || s.Members > maxCohort || s.Threshold == 0 || s.Threshold > s.Members || s.MinMembers > s.Members {
		return fmt.Errorf("want n of 3 to %d, t and min_members within it, got %d, %d and %d", maxCohort, s.Members, s.Threshold, s.MinMembers)
	}
	if !finite(s.Bound) || s.Bound <= 0 || s.MaxWeight == 0 {
		return fmt.Errorf("want a bound and n_max above 0, got %v and %d", s.Bound, s.MaxWeight)
	}
	for _, d := range s.DeadlinesMS {
		if err := checkMS("deadlines_ms", d); err != nil {
			return err
		}
	}
	return nil
}

func (v secAggOf) put(b []byte) []byte {
	s := *v.p
	b = appendArray(b, secAggFields)
	b = appendUint(b, uint64(s.Suite))
	b = appendUint(b, uint64(s.Ring))
	b = appendUint(b, uint64(s.Fraction))
	b = appendUint(b, uint64(s.Members))
	b = appendUint(b, uint64(s.Threshold))
	b = appendUint(b, uint64(s.MinMembers))
	b = appendFloat(b, s.Bound)
	b = appendUint(b, s.MaxWeight)
	b = appendArray(b, len(s.DeadlinesMS))
	for _, d := range s.DeadlinesMS {
		b = appendUint(b, d)
	}
	return b
}

func (v secAggOf) get(r *reader, name string) {
	r.array(name, secAggFields)
	s := &SecAgg{
		Suite: uint8(r.uint("suite", 2)), Ring: uint8(r.uint("ring", 64)), Fraction: uint8(r.uint("f", 64)),
		Members: r.uint32("n"), Threshold: r.uint32("t"), MinMembers: r.uint32("min_members"), Bound: r.float("bound"), MaxWeight: r.uint64("n_max"),
	}
	r.array("deadlines_ms", len(s.DeadlinesMS))
	for i := range s.DeadlinesMS {
		s.DeadlinesMS[i] = r.uint("deadline", maxMS)
	}
	*v.p = s
}
