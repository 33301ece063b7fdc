package trainer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Rule says how the threshold of a model of two classes is chosen: "f1", where the F1 of
// the rarer class is highest, or "recall>=r", the highest that still finds the share r of
// its rows.
type Rule string

// ruleF1 is the rule without a number.
const ruleF1 = "f1"

// recall is the number of a rule recall>=r.
func (r Rule) recall() (float64, bool) {
	text, ok := strings.CutPrefix(strings.ReplaceAll(string(r), " ", ""), "recall>=")
	v, err := strconv.ParseFloat(text, 64)
	return v, ok && err == nil && v > 0 && v <= 1
}

// Check reports a rule that is none.
func (r Rule) Check() error {
	if _, ok := r.recall(); ok || r == ruleF1 {
		return nil
	}
	return fmt.Errorf("want f1, or recall>=R with R above 0 and up to 1, as in recall>=.9, not %q", string(r))
}

// Threshold is from which probability on a row is taken for a class, and what that makes
// of the rows that it was chosen on.
type Threshold struct {
	Class                 int
	Value                 float64
	Precision, Recall, F1 float64
	// Scores are those of [Pooled] that hang on which class a row is taken for, as they are
	// with the threshold: over the rows of the Sites that have histograms.
	Scores map[string]float64
	Sites  int
}

// Threshold chooses one from the pooled curve of the rarer of two classes, among the edges
// of its bins.
func (p Pooled) Threshold(r Rule) (Threshold, error) {
	if err := r.Check(); err != nil {
		return Threshold{}, err
	}
	class, _, ok := p.Rarest()
	switch {
	case !ok || p.curve == nil:
		return Threshold{}, errors.New("no site reports histograms of probabilities (scores)")
	case len(p.curve.of) != 2:
		return Threshold{}, fmt.Errorf("a threshold is for two classes, these are %d", len(p.curve.of))
	}
	least, byRecall := r.recall()
	is, others := p.curve.walk(class, func(int, step) {})
	best, chosen := Threshold{Class: class, F1: -1}, Class{}
	p.curve.walk(class, func(bin int, at step) {
		c := Class{Rows: is, Predicted: at.isAbove + at.is + at.otherAbove + at.other, Correct: at.isAbove + at.is}
		if byRecall && best.F1 >= 0 || !byRecall && c.F1() <= best.F1 || byRecall && c.Recall() < least {
			return
		}
		best, chosen = Threshold{Class: class, Value: Edge(bin), Precision: c.Precision(), Recall: c.Recall(), F1: c.F1()}, c
	})
	if best.F1 < 0 {
		return Threshold{}, errors.New("no row of either class has a probability")
	}
	best.Scores, best.Sites = chosen.against(others), p.curve.sites
	return best, nil
}

// against are the scores of two classes, where c is the one and others are the rows of the
// other.
func (c Class) against(others float64) map[string]float64 {
	right := others - (c.Predicted - c.Correct)
	var f1, recall, n float64
	for _, x := range [...]Class{c, {Rows: others, Predicted: c.Rows + others - c.Predicted, Correct: right}} {
		if x.Rows > 0 {
			f1, recall, n = f1+x.F1(), recall+x.Recall(), n+1
		}
	}
	return map[string]float64{ScoreAccuracy: (c.Correct + right) / (c.Rows + others), ScoreMacroF1: f1 / n, ScoreBalanced: recall / n}
}
