package tabular

import (
	"fmt"
	"math"
)

// farFromOne is how large a feature may be, in its mean or deviation, for a model that
// scales none.
const farFromOne = 100

// Unscaled says which feature of the sites is far larger than a network learns from, where
// its model has no z-score; "": none. A step that suits the others is too long for it, so
// that training diverges, or the guard refuses every site in the first round.
func Unscaled(sites []*Trainer) (said string) {
	most := float64(farFromOne)
	for _, t := range sites {
		if t.data.pipe == nil { // its features are told later
			continue
		}
		mean, sd := t.data.Moments().ZScore()
		for j, name := range t.data.Features {
			if size := max(math.Abs(mean[j]), sd[j]); size > most {
				most = size
				said = fmt.Sprintf("the model is given %s as it is, with a mean of %.4g and a deviation of %.3g: training may diverge, or the guard refuse every update; this wants statistics: zscore", name, mean[j], sd[j])
			}
		}
	}
	return said
}
