package strategy

// Optimiser is what the server does with the mean update of a round of
// training: Reddi et al. 2020, https://arxiv.org/abs/2003.00295
type Optimiser interface {
	// Name is what configuration, order and record say.
	Name() string
	// Slots is how many float64 are kept for each coordinate from round to
	// round. They are part of what a round leaves, as the model is.
	Slots() int
	// Step takes the coordinates x of the base to those of the next model, along
	// their mean update. T counts the steps with this state, from 1, and slots
	// has Slots lists as long as x: all 0 at t = 1, afterwards what the step
	// before has left. Coordinates do not depend on each other. Where nothing is
	// to change x keeps its bits, so that -0 stays -0 (F-10). It may be called
	// from several goroutines, on blocks of any length.
	Step(x, mean []float64, t uint64, slots [][]float64)
}

// Descent is plain gradient descent, x + eta * mean: "sgd".
type Descent struct{ Eta float64 }

// Name is sgd.
func (Descent) Name() string { return SGD }

// Slots is 0: nothing is kept.
func (Descent) Slots() int { return 0 }

// Step adds the mean.
func (d Descent) Step(x, mean []float64, _ uint64, _ [][]float64) {
	x = x[:len(mean)]
	for i, m := range mean {
		if m != 0 {
			x[i] += float64(d.Eta * m)
		}
	}
}
