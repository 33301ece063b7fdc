package strategy

import "github.com/fedmq/fedmq/trainer"

// prox is FedProx: the mean of the updates, as federated averaging, of sites that add
// mu (w - received w) to every gradient, which is a penalty of mu/2 ||w - received w||^2
// on going far from the others.
type prox struct {
	Linear
	mu float64
}

var fedProx = prox{Linear: Linear{ID: "fedprox", About: About{
	Summary: "the mean of the updates, by weight, of sites that are held near the model they were given", Paper: "Li et al. 2018, https://arxiv.org/abs/1812.06127",
}}}

func muParam(preset float64) Param {
	return Param{Name: "mu", Default: preset, Max: 10, Doc: "how strongly sites are held near the model they were given, 0 not at all"}
}

// Params has mu.
func (prox) Params() []Param { return []Param{muParam(.01)} }

// Configure is [Configurable].
func (p prox) Configure(s Settings) (Strategy, error) {
	p.mu = s.Number("mu")
	return p, nil
}

// Local is [Steering]: with mu 0 it is federated averaging, and needs nothing.
func (p prox) Local() Local {
	if p.mu == 0 {
		return Local{}
	}
	return Local{Needs: []string{trainer.NeedMu}, Mu: p.mu}
}
