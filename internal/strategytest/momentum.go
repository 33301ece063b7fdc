// Package strategytest has what the tests of several packages plug into a registry.
package strategytest

// Momentum is a server optimiser that keeps one number for each coordinate: the mean,
// and half of what it kept.
type Momentum struct{}

// Name is "momentum".
func (Momentum) Name() string { return "momentum" }

// Slots is 1.
func (Momentum) Slots() int { return 1 }

// Step adds to x.
func (Momentum) Step(x, mean []float64, t uint64, slots [][]float64) {
	for i, m := range mean {
		if t > 1 {
			m += float64(0.5 * slots[0][i])
		}
		slots[0][i] = m
		if m != 0 {
			x[i] += m
		}
	}
}
