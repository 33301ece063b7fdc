package tabular

import (
	"math"
	"math/rand/v2"
	"testing"
)

// naive is the twin of forward and backward: one row at a time, in loops, on
// layers of w[out][in]. It returns loss and gradients of the mean.
func naive(r *run, rows []int) (loss float64, grads []float64) {
	grads = make([]float64, len(r.params))
	dim := len(r.data.Features)
	mean, sd := r.data.Moments().ZScore()
	for _, row := range rows {
		act := [][]float64{make([]float64, dim)}
		for j, v := range r.data.Train.X[row*dim : (row+1)*dim] {
			z := (v - mean[j]) / sd[j]
			if !math.IsNaN(v) {
				act[0][j] = math.Max(-3, math.Min(3, z))
			}
		}
		for i, l := range r.layers {
			z := make([]float64, l.out)
			for o := range z {
				z[o] = l.b[o]
				for k, a := range act[i] {
					z[o] += l.w[o*l.in+k] * a
				}
				if i+1 < len(r.layers) && z[o] < 0 {
					z[o] = 0
				}
			}
			act = append(act, z)
		}
		z, y := act[len(r.layers)], r.data.Train.Y[row]
		d := make([]float64, len(z))
		if r.classes == 0 {
			e := z[0] - (y-2)/4
			loss += e * e
			d[0] = 2 * e
		} else {
			var sum float64
			for _, v := range z {
				sum += math.Exp(v)
			}
			loss -= math.Log(math.Exp(z[int(y)]) / sum)
			for j, v := range z {
				d[j] = math.Exp(v) / sum
			}
			d[int(y)]--
		}
		end := len(grads)
		for i := len(r.layers) - 1; i >= 0; i-- {
			l := r.layers[i]
			end -= l.out * (l.in + 1)
			before := make([]float64, l.in)
			for o, v := range d {
				for k, a := range act[i] {
					grads[end+o*l.in+k] += v * a / float64(len(rows))
					if a > 0 {
						before[k] += v * l.w[o*l.in+k]
					}
				}
				grads[end+l.out*l.in+o] += v / float64(len(rows))
			}
			d = before
		}
	}
	return loss, grads
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.Abs(got-want) > tol*(1+math.Abs(want)) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// Batches below, at and above the size of a chunk, regression and classes,
// one layer to three.
func TestGradientTwin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, classes := range []int{0, 2, 5} {
		for _, hidden := range [][]int{nil, {4}, {7, 3}} {
			for _, n := range []int{1, chunkRows, 2*chunkRows + 1} {
				d := sample(rng, n, 6, classes)
				r := newRun(t, built(t, rng, d, hidden...), d, Settings{Batch: 0})
				loss := r.gradient(&d.Train, r.order)
				wantLoss, want := naive(r, r.order)
				near(t, "loss", loss, wantLoss, 1e-12)
				for i := range want {
					near(t, "gradient", r.grads[i], want[i], 1e-12)
				}
			}
		}
	}
}

// The gradient is the slope of the loss.
func TestGradientDifferences(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	const h = 1e-6
	for _, classes := range []int{0, 3} {
		d := sample(rng, 20, 5, classes)
		r := newRun(t, built(t, rng, d, 6, 4), d, Settings{Batch: 0})
		r.gradient(&d.Train, r.order)
		grads := append([]float64(nil), r.grads...)
		for i, p := range r.params {
			r.params[i] = p + h
			up := r.gradient(&d.Train, r.order)
			r.params[i] = p - h
			down := r.gradient(&d.Train, r.order)
			r.params[i] = p
			near(t, "gradient", grads[i], (up-down)/(2*h)/20, 1e-6)
		}
	}
}

// Steps of SGD by the formulas of the reference.
func TestStepTwin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 1))
	d := sample(rng, 40, 5, 3)
	s := Settings{LR: 0.1, Momentum: 0.9, L2: 0.05}
	r := newRun(t, built(t, rng, d, 4), d, s)
	want, velocity := append([]float64(nil), r.params...), make([]float64, len(r.params))
	for _, limit := range []float64{0.1, 1000, 0, 0.2} {
		r.settings.MaxGradNorm = limit
		_, g := naive(r, r.order)
		at, square := 0, 0.0
		for _, l := range r.layers {
			for range l.w {
				g[at] += s.L2 * want[at]
				at++
			}
			at += l.out // biases
		}
		for _, v := range g {
			square += v * v
		}
		c := 1.0
		if limit > 0 {
			c = math.Min(1, limit/(math.Sqrt(square)+1e-12))
		}
		if (c < 1) != (limit > 0 && limit < 1) {
			t.Fatalf("limit %v: factor %v", limit, c)
		}
		for i := range want {
			velocity[i] = s.Momentum*velocity[i] - s.LR*g[i]*c
			want[i] += velocity[i]
		}
		r.gradient(&d.Train, r.order)
		r.step()
		for i := range want {
			near(t, "parameter", r.params[i], want[i], 1e-12)
		}
	}
}

func TestEpochAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	d := sample(rng, 300, 20, 4)
	r := newRun(t, built(t, rng, d, 16), d, Settings{Batch: 32, LR: 0.01, Momentum: 0.9, L2: 1e-4, MaxGradNorm: 5})
	if n := testing.AllocsPerRun(5, func() {
		if err := r.epoch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations in an epoch", n)
	}
}
