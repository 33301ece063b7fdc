package strategy

import (
	"errors"
	"fmt"
)

// mostBad is the largest number of bad updates that anybody can guard against: a round
// has at most 2^14 members.
const mostBad = 8190

// choice is the prototype of a selective strategy: what people are told of it, and how its
// kernel follows from its parameters.
type choice struct {
	id, summary, paper string
	params             []Param
	kernel             func(Settings) kernel
}

// selectives are those that fedmq brings.
var selectives = []Strategy{
	choice{
		id: "median", summary: "the middle value of each coordinate",
		paper:  "Yin et al. 2018, https://arxiv.org/abs/1803.01498",
		kernel: func(Settings) kernel { return median{} },
	},
	choice{
		id: "trimmed_mean", summary: "the mean of each coordinate without its lowest and highest values",
		paper: "Yin et al. 2018, https://arxiv.org/abs/1803.01498",
		params: []Param{
			{Name: "beta", Default: .2, Max: .499, Doc: "share of the updates that is left out at each end"},
			{Name: "count", Default: 0., Max: mostBad, Whole: true, Doc: "number that is left out at each end; 0: beta says it"},
		},
		kernel: func(s Settings) kernel { return trimmedMean{beta: s.Number("beta"), count: int(s.Number("count"))} },
	},
	choice{
		id: "krum", summary: "the one update that is nearest to its nearest others",
		paper:  "Blanchard et al. 2017, https://arxiv.org/abs/1703.02757",
		params: []Param{badOnes},
		kernel: func(s Settings) kernel { return krum{f: int(s.Number("f"))} },
	},
	choice{
		id: "multi_krum", summary: "the mean of the updates that are nearest to their nearest others",
		paper: "Blanchard et al. 2017, https://arxiv.org/abs/1703.02757",
		params: []Param{
			badOnes,
			{Name: "m", Default: 0., Max: 1 << 14, Whole: true, Doc: "number of updates that are taken; 0: all but f"},
			weighting,
		},
		kernel: func(s Settings) kernel {
			return multiKrum{f: int(s.Number("f")), m: int(s.Number("m")), bySamples: bySamples(s)}
		},
	},
	choice{
		id: "bulyan", summary: "all but 2f updates by Krum, one after the other, and of each coordinate the mean of the values nearest to their median",
		paper:  "El Mhamdi et al. 2018, https://arxiv.org/abs/1802.07927",
		params: []Param{badOnes},
		kernel: func(s Settings) kernel { return bulyan{f: int(s.Number("f"))} },
	},
	choice{
		id: "geometric_median", summary: "steps towards the point with the least sum of distances to all updates (RFA)",
		paper: "Pillutla et al. 2019, https://arxiv.org/abs/1912.13445",
		params: []Param{
			{Name: "nu", Default: 1e-6, Min: 1e-12, Max: 1e6, Doc: "a distance below it counts as it"},
			{Name: "iterations", Default: 3., Min: 1, Max: 100, Whole: true, Doc: "steps"},
			{Name: "start", Default: "mean", Words: []string{"mean", "zero"}, Doc: "where the first step begins"},
			weighting,
		},
		kernel: func(s Settings) kernel {
			return geometricMedian{nu: s.Number("nu"), iterations: int(s.Number("iterations")), zero: s.Text("start") == "zero", bySamples: bySamples(s)}
		},
	},
	choice{
		id: "centered_clip", summary: "from the mean update of the round before to the mean of the updates, none of which pulls farther than tau",
		paper: "Karimireddy et al. 2020, https://arxiv.org/abs/2012.10333",
		params: []Param{
			{Name: "tau", Default: 10., Min: 1e-6, Max: 1e6, Doc: "largest distance from the centre that counts"},
			{Name: "iterations", Default: 1., Min: 1, Max: 10, Whole: true, Doc: "steps"},
		},
		kernel: func(s Settings) kernel {
			return centeredClip{tau: s.Number("tau"), iterations: int(s.Number("iterations"))}
		},
	},
}

var (
	badOnes   = Param{Name: "f", Min: 1, Max: mostBad, Whole: true, Doc: "number of updates of a round that may be bad"}
	weighting = Param{Name: "weighting", Default: "uniform", Words: []string{"uniform", "samples"}, Doc: "samples: updates count by their weight in the round, which is what sites say of themselves"}
	premix    = []Param{
		{Name: "premix", Default: "none", Words: []string{"none", "nnm"}, Doc: "nnm: each update is first made the mean of the n - f nearest to it (Allouah et al. 2023, https://arxiv.org/abs/2302.01772)"},
		{Name: "f", Default: 0., Max: mostBad, Whole: true, Doc: "with premix: number of updates of a round that may be bad"},
	}
)

func bySamples(s Settings) bool { return s.Text("weighting") == "samples" }

// Name is what configuration, order and record say.
func (c choice) Name() string { return c.id }

// Kind is selective.
func (choice) Kind() string { return KindSelective }

// Summary says what it does.
func (c choice) Summary() string { return c.summary }

// Paper says where it comes from.
func (c choice) Paper() string { return c.paper }

// own reports whether it has a parameter f without premix.
func (c choice) own() bool { return len(c.params) > 0 && c.params[0].Name == badOnes.Name }

// Params are its own and those of premix.
func (c choice) Params() []Param {
	if c.own() {
		return append(c.params[:len(c.params):len(c.params)], premix[0])
	}
	return append(c.params[:len(c.params):len(c.params)], premix...)
}

// Configure is [Configurable].
func (c choice) Configure(s Settings) (Strategy, error) {
	out, f := selective{id: c.id, kernel: c.kernel(s)}, int(s.Number("f"))
	switch mixes := s.Text("premix") == "nnm"; {
	case mixes && f == 0:
		return nil, errors.New("premix: nnm, and f: 0; say with f how many updates of a round may be bad, 1 or more")
	case mixes:
		out.mix = f
	case f > 0 && !c.own():
		return nil, fmt.Errorf("f: %d, which is for premix: nnm; without it %s does not ask how many are bad", f, c.id)
	}
	return out, nil
}

// Begin is for what Configure makes of it.
func (c choice) Begin(Round, Fold) (Fold, error) {
	return nil, fmt.Errorf("%w: %s without its parameters", ErrSetting, c.id)
}
