package trainer

import "fmt"

// Shown chooses the metric that is shown first: the one that is wanted, where there is
// such a one; macro F1 where a class is rare, since whoever never finds it is as
// accurate; else accuracy, RMSE or loss. why says in words why it is not the one wanted,
// or macro F1; classes are their names, where they are known.
func (p Pooled) Shown(want string, classes []string) (name, why string) {
	if _, ok := p.Scores[want]; ok {
		return want, ""
	}
	if want != "" {
		why = fmt.Sprintf("metric: %s is reported by no site", want)
	}
	if class, part, ok := p.rare(); ok {
		guess := ""
		if g := p.Scores[ScoreAccuracy].Guess; g > 0 {
			guess = fmt.Sprintf(", and naming the largest class always is right in %.1f %%", 100*g)
		}
		if why == "" {
			rare := fmt.Sprintf("class %d", class)
			if class < len(classes) {
				rare = fmt.Sprintf("%.60q", classes[class])
			}
			why = fmt.Sprintf("macro_f1 is shown first: %s has %.2g %% of the rows%s (metric: names another)", rare, 100*part, guess)
		}
		return ScoreMacroF1, why
	}
	for _, known := range []string{ScoreAccuracy, ScoreRMSE, ScoreLoss} {
		if _, ok := p.Scores[known]; ok {
			return known, why
		}
	}
	return "", why
}
