package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/trainer"
)

// nova is FedNova: sites that take many steps do not pull the model further than those
// that take few. Each update is divided by a_k, what its steps weigh, and the mean is
// taken as far as the mean a_k says: (sum n_k a_k / W) (sum n_k delta_k/a_k / W).
type nova struct {
	Linear
	mu float64
}

var fedNova = nova{Linear: Linear{ID: "fednova", About: About{
	Summary: "the mean of the updates per local step, by weight, taken as many steps as the sites did", Paper: "Wang et al. 2020, https://arxiv.org/abs/2007.07481",
}}}

// Params has mu.
func (nova) Params() []Param { return []Param{muParam(0)} }

// Configure is [Configurable].
func (n nova) Configure(s Settings) (Strategy, error) {
	n.mu = s.Number("mu")
	return n, nil
}

// Local is [Steering]: a_k is known of plain gradient descent, with momentum, or with mu.
func (n nova) Local() Local {
	if n.mu > 0 {
		return Local{Needs: []string{trainer.NeedMu, trainer.NeedSGD, trainer.NeedSteps}, Mu: n.mu}
	}
	return Local{Needs: []string{trainer.NeedMomentum, trainer.NeedSteps}}
}

// Begin starts an attempt.
func (n nova) Begin(r Round, before Fold) (Fold, error) {
	l := n.Linear
	l.Coefficient = func(u Update) (float64, error) {
		a, err := n.steps(u)
		return 1 / a, err
	}
	return summed{
		of: func(u Update) (float64, error) {
			a, err := n.steps(u)
			return float64(float64(u.Weight) * a), err
		},
		scale: func(total, weight float64) float64 { return total / weight },
	}.begin(l, r, before)
}

// steps is a_k, 1 or more: what all local steps of an update add up to, if the gradients
// were alike.
func (n nova) steps(u Update) (float64, error) {
	tau, err := scalar(u, trainer.ScalarSteps, 1, mostSummed)
	if err != nil {
		return 1, err
	}
	if tau != math.Trunc(tau) {
		return 1, fmt.Errorf("%w: the scalar %s is %v, want a whole number", ErrOutOfRange, trainer.ScalarSteps, tau)
	}
	rho, err := scalar(u, trainer.ScalarMomentum, 0, 1)
	if err != nil {
		return 1, err
	}
	switch {
	case rho == 1 || rho > 0 && n.mu > 0:
		return 1, fmt.Errorf("%w: the scalar %s is %v, want less than 1, and 0 with mu", ErrOutOfRange, trainer.ScalarMomentum, rho)
	case rho > 0:
		return (tau - float64(rho*geometric(rho, uint64(tau)))) / (1 - rho), nil
	case n.mu == 0:
		return tau, nil
	}
	eta, err := scalar(u, trainer.ScalarLR, 0, math.MaxFloat64)
	if err != nil {
		return 1, err
	}
	if shrink := float64(eta * n.mu); shrink < 1 {
		return geometric(1-shrink, uint64(tau)), nil
	}
	return 1, fmt.Errorf("%w: the scalar %s is %v, want less than 1/mu, %v", ErrOutOfRange, trainer.ScalarLR, eta, 1/n.mu)
}

// geometric is 1 + q + ... + q^(n-1), by doubling: nothing is subtracted, so that no
// figure is lost where q is near 1.
func geometric(q float64, n uint64) float64 {
	sum, power := 0.0, 1.0 // of the first k powers, and q^k, for the upper bits k of n
	for bit := uint64(1) << 63; bit > 0; bit >>= 1 {
		sum += float64(sum * power)
		power = float64(power * power)
		if n&bit != 0 {
			sum = 1 + float64(q*sum)
			power = float64(power * q)
		}
	}
	return sum
}
