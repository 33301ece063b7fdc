package trainer

// Settler is an optional part of a Trainer that keeps state between rounds, such as
// the rest that a compression left out, or control variates: it learns which of its
// updates are in the global model.
type Settler interface {
	// Settled is called before a job, once for each update of this trainer whose fate
	// became known since the job before, in the order in which it did: whether it is
	// in the sum of its round. It may be an update that a process before this one
	// made. One that lapsed, so that its round is worked on again, does not count.
	Settled(round uint64, counted bool)
}

// Settle tells t what became of an update, if it wants to know.
func Settle(t Trainer, round uint64, counted bool) {
	if s, ok := t.(Settler); ok {
		s.Settled(round, counted)
	}
}
