package tabular

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

var _ trainer.Cautious = (*Trainer)(nil)

// farFromOne is how large a feature may be, in its mean or deviation, for a model that
// scales none.
const farFromOne = 100

// large is the largest feature of all rows that is farFromOne.
type large struct {
	size     float64 // 0: there is none
	name     string
	mean, sd float64
}

// largest looks for it, once for rows that stay what they are.
func (t *Trainer) largest() large {
	if t.data.pipe == nil { // its features are told later
		return large{}
	}
	if t.sized == t.data {
		return t.large
	}
	var l large
	mean, sd := t.data.Moments().ZScore()
	for j, name := range t.data.Features {
		if size := max(math.Abs(mean[j]), sd[j]); size > max(l.size, farFromOne) {
			l = large{size, name, mean[j], sd[j]}
		}
	}
	t.sized, t.large = t.data, l
	return l
}

// String is what is wrong with it, for a model without a z-score: a step that suits the
// other features is too long for it, so that training diverges, or the guard refuses every
// site in the first round.
func (l large) String() string {
	if l.size == 0 {
		return ""
	}
	return fmt.Sprintf("the model is given %s as it is, with a mean of %.4g and a deviation of %.3g: training may diverge, or the guard refuse every update; this wants statistics: zscore at the aggregator", l.name, l.mean, l.sd)
}

// Unscaled says which feature is far larger than a network learns from, where its model
// has no z-score; "": none.
func (t *Trainer) Unscaled() string { return t.largest().String() }

// Caution says so of a model without one.
func (t *Trainer) Caution(global *model.Model) string {
	if global.Schema.Index(model.ZMeanName) >= 0 {
		return ""
	}
	return t.Unscaled()
}
