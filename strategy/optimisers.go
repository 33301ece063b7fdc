package strategy

import (
	"math"
)

// optimisers are those that fedmq brings.
var optimisers = []Optimiser{
	Descent{Eta: 1},
	momentum{},
	adaptive{id: "adagrad", eta: .1, grow: func(v, square, _ float64) float64 { return v + square }},
	adaptive{id: "adam", eta: .1, beta1: .9, grow: func(v, square, beta2 float64) float64 {
		return float64(beta2*v) + float64((1-beta2)*square)
	}},
	adaptive{id: "yogi", eta: .01, beta1: .9, grow: func(v, square, beta2 float64) float64 {
		switch step := float64((1 - beta2) * square); {
		case v > square:
			return v - step
		case v < square:
			return v + step
		}
		return v
	}},
}

// rate is the parameter that all of them have.
func rate(preset float64) Param {
	return Param{Name: "eta", Default: preset, Max: 10, Above: true, Doc: "rate of the server's step"}
}

func decay(name string, preset float64, doc string) Param {
	return Param{Name: name, Default: preset, Max: 1, Below: true, Doc: doc}
}

// Kind is of a strategy only.
func (Descent) Kind() string { return "" }

// Summary says what it does.
func (Descent) Summary() string { return "the model goes along the mean update: x + eta * mean" }

// Paper is none.
func (Descent) Paper() string { return "" }

// Params has the rate.
func (Descent) Params() []Param { return []Param{rate(1)} }

// Configure is [ConfigurableOptimiser].
func (Descent) Configure(s Settings) (Optimiser, error) {
	return Descent{Eta: s.Number("eta")}, nil
}

// momentum goes on in the direction of the rounds before: m = mean at first, then
// beta * m + mean; x + eta * m.
type momentum struct{ eta, beta float64 }

func (momentum) Name() string { return "momentum" }
func (momentum) Kind() string { return "" }
func (momentum) Summary() string {
	return "goes on in the direction of the rounds before (FedAvgM): m = beta * m + mean; x + eta * m"
}
func (momentum) Paper() string { return "Hsu et al. 2019, https://arxiv.org/abs/1909.06335" }

func (momentum) Params() []Param {
	return []Param{rate(1), decay("beta", .9, "how much of the direction stays")}
}

func (momentum) Configure(s Settings) (Optimiser, error) {
	return momentum{s.Number("eta"), s.Number("beta")}, nil
}

func (momentum) Slots() int { return 1 }

func (o momentum) Step(x, mean []float64, t uint64, slots [][]float64) {
	m := slots[0]
	for i, d := range mean {
		if t > 1 {
			d += float64(o.beta * m[i])
		}
		m[i] = d
		if step := float64(o.eta * d); step != 0 {
			x[i] += step
		}
	}
}

// adaptive are the optimisers of Reddi et al. 2020: the step of a coordinate is the
// smaller the larger its updates were. m = beta1 * m + (1 - beta1) * mean, from 0; v
// grows with mean^2, from tau^2; x + eta * m / (sqrt(v) + tau). Corrected, v begins with
// 0, and m and v are divided by 1 - beta1^t and 1 - beta2^t, as Kingma and Ba have it.
type adaptive struct {
	id                     string
	eta, beta1, beta2, tau float64
	corrected              bool
	grow                   func(v, square, beta2 float64) float64
}

func (o adaptive) Name() string { return o.id }
func (o adaptive) Kind() string { return "" }
func (o adaptive) Summary() string {
	return map[string]string{
		"adagrad": "smaller steps where updates were large, summed over all rounds: v = v + mean^2",
		"adam":    "smaller steps where updates were large of late: v = beta2 * v + (1 - beta2) * mean^2",
		"yogi":    "as adam, but v follows slowly: v = v - (1 - beta2) * mean^2 * sign(v - mean^2)",
	}[o.id] + "; m = beta1 * m + (1 - beta1) * mean; x + eta * m / (sqrt(v) + tau)"
}
func (o adaptive) Paper() string { return "Reddi et al. 2020, https://arxiv.org/abs/2003.00295" }

func (o adaptive) Params() []Param {
	list := []Param{
		rate(o.eta), decay("beta1", o.beta1, "how much of the direction stays"),
		{Name: "tau", Default: 1e-3, Min: 1e-12, Max: 1, Doc: "keeps steps finite; the larger, the less they adapt"},
	}
	if o.id == "adagrad" {
		return list
	}
	list = append(list, decay("beta2", .99, "how much of v stays"))
	if o.id == "adam" {
		list = append(list, Param{Name: "bias_correction", Default: "false", Words: []string{"false", "true"}, Doc: "v begins with 0 instead of tau^2, and both means are divided by what they lack"})
	}
	return list
}

func (o adaptive) Configure(s Settings) (Optimiser, error) {
	o.eta, o.beta1, o.beta2, o.tau = s.Number("eta"), s.Number("beta1"), s.Number("beta2"), s.Number("tau")
	o.corrected = s.Text("bias_correction") == "true"
	return o, nil
}

// Slots is one for m and one for v; without beta1, m is the mean itself.
func (o adaptive) Slots() int {
	if o.id == "adagrad" && o.beta1 == 0 {
		return 1
	}
	return 2
}

func (o adaptive) Step(x, mean []float64, t uint64, slots [][]float64) {
	v, lackM, lackV := slots[len(slots)-1], 1.0, 1.0
	if o.corrected {
		lackM, lackV = lack(o.beta1, t), lack(o.beta2, t)
	} else if t == 1 {
		for i := range v {
			v[i] = float64(o.tau * o.tau)
		}
	}
	for i, d := range mean {
		m := d
		if len(slots) == 2 {
			m = float64(o.beta1*slots[0][i]) + float64((1-o.beta1)*d)
			slots[0][i] = m
		}
		v[i] = o.grow(v[i], float64(d*d), o.beta2)
		if step := float64(o.eta*(m/lackM)) / (math.Sqrt(v[i]/lackV) + o.tau); step != 0 {
			x[i] += step
		}
	}
}

// lack is 1 - beta^t, by multiplication: what a mean over t steps that began with 0 lacks.
func lack(beta float64, t uint64) float64 {
	p := 1.0
	for ; t > 0 && p > 0x1p-60; t-- { // below that 1 - p is 1
		p = float64(p * beta)
	}
	return 1 - p
}
