package exec

import (
	"fmt"

	"github.com/fedmq/fedmq/trainer"
)

// confusionLine is the matrix of a classifier as programs write it: a list for each
// class.
type confusionLine [][]int64

// scoresLine are its histograms: for each class those of the others' rows and of its own.
type scoresLine [][2][]uint32

// counts takes what a program says of the classes apart.
func counts(confusion confusionLine, scores scoresLine) (*trainer.Counts, error) {
	n := len(confusion)
	switch {
	case confusion == nil && scores == nil:
		return nil, nil
	case confusion == nil:
		return nil, fmt.Errorf("scores without confusion: the matrix says how many rows there are")
	case n < 2 || n > trainer.MaxClasses:
		return nil, fmt.Errorf("confusion of %d classes, want 2 to %d", n, trainer.MaxClasses)
	case scores != nil && len(scores) != n:
		return nil, fmt.Errorf("scores of %d classes, the confusion is of %d", len(scores), n)
	}
	c := trainer.NewCounts(n, scores != nil)
	for i, row := range confusion {
		if len(row) != n {
			return nil, fmt.Errorf("confusion[%d] has %d numbers, want %d", i, len(row), n)
		}
		copy(c.Confusion[i*n:], row)
	}
	for k, sides := range scores {
		for side, bins := range sides {
			if len(bins) != trainer.ScoreBins {
				return nil, fmt.Errorf("scores[%d][%d] has %d bins, want %d", k, side, len(bins), trainer.ScoreBins)
			}
			copy(c.Scores[(k*2+side)*trainer.ScoreBins:], bins)
		}
	}
	return c, c.Check()
}

// countLines are counts as programs write them.
func countLines(c *trainer.Counts) (confusion confusionLine, scores scoresLine) {
	if c == nil {
		return nil, nil
	}
	n := c.Classes
	for i := range n {
		confusion = append(confusion, c.Confusion[i*n:(i+1)*n])
	}
	if c.Scores == nil {
		return confusion, nil
	}
	for k := range n {
		at := c.Scores[k*2*trainer.ScoreBins:]
		scores = append(scores, [2][]uint32{at[:trainer.ScoreBins], at[trainer.ScoreBins : 2*trainer.ScoreBins]})
	}
	return confusion, scores
}
