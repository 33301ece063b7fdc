package round

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Adopt returns what to save of a task that goes on above what others have
// seen: epoch and rnd are the highest anybody saw, base is the model to go on
// with and record the hash of the adopted record, which takes the number rnd
// . Members and commands stay as they were, but that nobody is silent.
func (s *State) Adopt(members []Member, epoch, rnd uint64, base, record model.Hash) Save {
	n := s.clone()
	n.Epoch, n.Round, n.Attempt, n.Phase = max(s.Epoch, epoch), rnd+1, 0, Idle
	n.Base, n.Version, n.Record = base, rnd, record
	switch { // what the rounds between were for, nobody here knows
	case s.Version == 0:
		n.Worked = "" // New counts them
	case s.Version < rnd:
		n.Trained += rnd - s.Version
	}
	if n.Trained > 0 {
		n.Worked = wire.WorkTrain // after just enough of it this model is measured
	}
	n.ValidFrom, n.Params, n.Cohort = 1, nil, nil
	n.Past, n.Since = nil, 0 // what is on its way may have counted in what is lost
	n.Abandons, n.RefusalAbandons = 0, 0
	save := Save{State: n, DropJournal: true}
	for i, mem := range members {
		if mem.Silent > 0 {
			mem.Silent = 0
			save.Members = append(save.Members, Place{uint32(i), mem})
		}
	}
	return save
}
