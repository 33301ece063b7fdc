package round

// Adopt returns the state of a task that goes on above what others have seen:
// epoch and rnd are the highest anybody saw, base is the model to go on with
// and record the hash of the adopted record, which takes the number rnd
// . Members and commands stay as they were.
func (s *State) Adopt(epoch, rnd uint64, base, record ID) *State {
	n := s.clone()
	n.Epoch, n.Round, n.Attempt, n.Phase = max(s.Epoch, epoch), rnd+1, 0, Idle
	n.Base, n.Version, n.Record = base, rnd, record
	n.ValidFrom, n.Params, n.Cohort = 1, nil, nil
	n.Abandons, n.RefusalAbandons = 0, 0
	for i := range n.Members {
		n.Members[i].Heard, n.Members[i].Silent = false, 0
	}
	return n
}
