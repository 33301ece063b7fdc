package aggregator

import (
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// measured is what a member's update says of the round's base, and of its training, as it
// came: it is kept of each member until the round is over.
type measured struct {
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Counts  []byte             `json:"counts,omitempty"`  // of classes: wire.Counts
	Scalars map[string]float64 `json:"scalars,omitempty"` // for the fold
}

// evaluation is the same for package trainer. Counts that came in a message can be
// unpacked; what else a journal says of them is refused by atHand, and is none here.
func (m measured) evaluation() trainer.Evaluation {
	e := trainer.Evaluation{Metrics: m.Metrics}
	if len(m.Counts) == 0 {
		return e
	}
	if confusion, scores, err := wire.Counts(m.Counts).Unpack(); err == nil {
		e.Counts = &trainer.Counts{Classes: int(m.Counts[0]), Confusion: confusion, Scores: scores}
	}
	return e
}

// content is the content id of an update that is an evaluation alone.
func (m measured) content() [32]byte {
	u := wire.Update{Metrics: m.Metrics}
	u.Counts = m.Counts
	return u.Content()
}

// scored is what follows from an update's evaluation.
func (st *staged) scored() record.Values {
	if st.scores == nil {
		st.scores = st.evaluation().Scores()
	}
	return st.scores
}
