// Package strategytest has what the tests of several packages plug into a registry.
package strategytest

// Half is a server optimiser that keeps one number for each coordinate: the mean,
// and half of what it kept.
type Half struct{}

// Name is "halfkept".
func (Half) Name() string { return "halfkept" }

// Slots is 1.
func (Half) Slots() int { return 1 }

// Step adds to x.
func (Half) Step(x, mean []float64, t uint64, slots [][]float64) {
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
