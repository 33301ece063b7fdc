package trainer

import "math"

// curves are pooled histograms of probabilities, of each class over its rows and over
// those of the others.
type curves struct {
	rows  float64
	sites int
	of    [][2][ScoreBins]uint64
}

// add takes the histograms of a site in, if it has them.
func (s *curves) add(c *Counts) {
	if c.Scores == nil {
		return
	}
	s.rows += float64(c.Rows())
	s.sites++
	for k := range c.Classes {
		if k == len(s.of) {
			s.of = append(s.of, [2][ScoreBins]uint64{})
		}
		for side := range 2 {
			for b, v := range c.histogram(k, side) {
				s.of[k][side][b] += uint64(v)
			}
		}
	}
}

// step is one bin on the way from the highest probabilities down: rows of the class and of
// others in it, and above it.
type step struct{ is, other, isAbove, otherAbove float64 }

// walk visits the bins of class k from the highest down, and returns all rows of the class
// and of others.
func (s *curves) walk(k int, visit func(bin int, at step)) (is, other float64) {
	h := &s.of[k]
	for b := ScoreBins - 1; b >= 0; b-- {
		at := step{float64(h[1][b]), float64(h[0][b]), is, other}
		if at.is+at.other > 0 {
			visit(b, at)
		}
		is, other = is+at.is, other+at.other
	}
	return is, other
}

// judge fills in what the curves of a class give. Rows of one bin count as one: an area
// is off by at most half of the pairs that share one (rows of the class with rows of
// others), a precision by what the best and the worst order of a bin's rows makes of it.
func (s *curves) judge(c *Class) {
	c.AUC, c.AP = math.NaN(), math.NaN()
	if c.Class >= len(s.of) {
		return
	}
	var pairs, tied, ap, best, worst float64
	is, other := s.walk(c.Class, func(_ int, at step) {
		tied += at.is * at.other
		pairs += at.other * at.isAbove
		if at.is == 0 {
			return
		}
		t, f := at.isAbove, at.otherAbove
		ap += at.is * (t + at.is) / (t + at.is + f + at.other)
		// The mean of (t+i)/(t+i+g) over the i-th row of the class in the bin, with g rows
		// of others before it, is 1 less g times a piece of the harmonic series.
		if f > 0 {
			best += at.is - f*math.Log((t+at.is+f+1)/(t+f+1))
		} else {
			best += at.is
		}
		if g := f + at.other; g > 0 {
			worst += at.is - g*math.Log((t+at.is+g)/(t+g))
		} else {
			worst += at.is
		}
	})
	if is == 0 || other == 0 {
		return
	}
	c.AUC, c.AUCError = (pairs+tied/2)/(is*other), tied/2/(is*other)
	c.AP = ap / is
	c.APError = max(min(best/is, 1)-c.AP, c.AP-worst/is, 0)
}

// scores are the means over the classes that have the value.
func (s *curves) scores(out *Pooled) {
	auc, ap := Score{Rows: s.rows, Guess: math.NaN()}, Score{Rows: s.rows, Guess: math.NaN()}
	n := 0.0
	for _, c := range out.Classes {
		if !math.IsNaN(c.AUC) {
			n++
			auc.Value, auc.Error = auc.Value+c.AUC, auc.Error+c.AUCError
			ap.Value, ap.Error = ap.Value+c.AP, ap.Error+c.APError
		}
	}
	auc.Value, auc.Error, ap.Value, ap.Error = auc.Value/n, auc.Error/n, ap.Value/n, ap.Error/n
	if n == 0 {
		auc.Error, ap.Error = 0, 0
	}
	out.Scores[ScoreROCAUC], out.Scores[ScorePrecision] = auc, ap
}
