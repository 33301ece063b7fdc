package strategy

import (
	"math"

	"github.com/fedmq/fedmq/internal/exact"
	"github.com/fedmq/fedmq/trainer"
)

// fair is q-FedAvg: sites on whose rows the received model is worse count more. With F_k
// the loss there, the mean update is L sum F_k^q delta_k / sum h_k with
// h_k = q F_k^(q-1) L^2 ||delta_k||^2 + L F_k^q.
type fair struct {
	Linear
	q, l float64
}

var qFedAvg = fair{Linear: Linear{ID: "qfedavg", About: About{
	Summary: "a mean of the updates in which sites count more on whose rows the model is worse", Paper: "Li et al. 2019, https://arxiv.org/abs/1905.10497",
}}}

// Params has q and L.
func (fair) Params() []Param {
	return []Param{
		{Name: "q", Default: .1, Max: 5, Doc: "how much more a worse site counts, 0 not at all"},
		{Name: "L", Min: 1e-6, Max: 1e6, Doc: "1 / lr of the sites"},
	}
}

// Configure is [Configurable].
func (f fair) Configure(s Settings) (Strategy, error) {
	f.q, f.l = s.Number("q"), s.Number("L")
	return f, nil
}

// Weightings are uniform, as in the paper, and samples, which multiplies both sums.
func (fair) Weightings() []string { return []string{"uniform", "samples"} }

// Local is [Steering].
func (fair) Local() Local { return Local{Needs: []string{trainer.NeedLoss0}} }

// Begin starts an attempt.
func (f fair) Begin(r Round, before Fold) (Fold, error) {
	l := f.Linear
	l.Coefficient = func(u Update) (float64, error) {
		_, power, err := f.loss(u)
		return power, err
	}
	return summed{
		of: func(u Update) (float64, error) {
			loss, power, err := f.loss(u)
			long := u.Norm
			if u.Clip != 0 {
				long = float64(long * u.Clip)
			}
			slope := float64(float64(f.q*(power/loss)) * float64(float64(f.l*f.l)*float64(long*long)))
			return float64(float64(u.Weight) * (slope + float64(f.l*power))), err
		},
		scale: func(total, weight float64) float64 { return float64(f.l*weight) / total },
	}.begin(l, r, before)
}

// mostLoss is the largest loss that counts.
const mostLoss = math.MaxFloat32

// loss is F_k and F_k^q of an update.
func (f fair) loss(u Update) (loss, power float64, err error) {
	if loss, err = scalar(u, trainer.ScalarLoss0, 0, mostLoss); err != nil {
		return 1, 1, err
	}
	loss += 1e-10
	return loss, exact.Pow(loss, f.q), nil
}
