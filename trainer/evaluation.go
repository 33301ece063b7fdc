package trainer

import "math"

// Evaluation is what one site measured of a model: sums by name, and for a
// classifier the rows of each class counted. The zero value says that there was
// nothing to measure.
type Evaluation struct {
	Metrics Metrics
	Counts  *Counts // nil: not of classes, or only as names in Metrics
}

// Names of what [Pool] makes of sums.
const (
	ScoreLoss      = "loss"
	ScoreLogLoss   = "log_loss"
	ScoreRMSE      = "rmse"
	ScoreMAE       = "mae"
	ScoreBias      = "bias"
	ScoreR2        = "r2"
	ScoreAccuracy  = "accuracy"
	ScoreMacroF1   = "macro_f1"
	ScoreBalanced  = "balanced_accuracy"
	ScoreROCAUC    = "roc_auc"
	ScorePrecision = "average_precision"
)

// Better says which of two values of a metric is the better one. Less is better of a
// loss and of an error, a bias nearer to 0, and more of all others; known is false for
// what is no metric of this package, such as a number that a trainer has named itself.
func Better(name string) (better func(a, b float64) bool, known bool) {
	switch name {
	case ScoreLoss, ScoreLogLoss, ScoreRMSE, ScoreMAE:
		return func(a, b float64) bool { return a < b }, true
	case ScoreBias:
		return func(a, b float64) bool { return math.Abs(a) < math.Abs(b) }, true
	case ScoreR2, ScoreAccuracy, ScoreMacroF1, ScoreBalanced, ScoreROCAUC, ScorePrecision:
		known = true
	}
	return func(a, b float64) bool { return a > b }, known
}

// Scores returns what follows from the evaluation of one site: the scores of [Pool]
// that are numbers.
func (e Evaluation) Scores() map[string]float64 {
	out := map[string]float64{}
	for name, s := range Pool([]Evaluation{e}).Scores {
		if !math.IsNaN(s.Value) {
			out[name] = s.Value
		}
	}
	return out
}

// Problems says in words what of an evaluation counts in nothing, and why (see
// [Metrics.Problems]).
func (e Evaluation) Problems() []string {
	out := e.Metrics.Problems()
	if why := e.countsProblem(); why != "" {
		out = append(out, why)
	}
	return out
}

// Counted returns the counts, nil where there are none or they cannot be taken.
func (e Evaluation) Counted() *Counts {
	if e.countsProblem() != "" {
		return nil
	}
	return e.Counts
}

// countsProblem says why the counts of an evaluation are not taken.
func (e Evaluation) countsProblem() string {
	if e.Counts == nil {
		return ""
	}
	return e.Counts.problem(e.Metrics[SumN])
}
