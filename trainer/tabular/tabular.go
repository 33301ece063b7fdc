// Package tabular trains on rows of numbers: CSV files in, linear regression,
// softmax regression or a multilayer perceptron with ReLU out.
//
// Describe the rows with a Config, and give Open's Trainer, or New's on what
// Load has read, to a site. Its Statistics give the federation the mean and deviation of every
// feature without a row leaving; the model brings them back as fedmq.mean and
// fedmq.sd, and every site scales with the same numbers. Fit and Score train
// and judge outside a federation with the same code.
//
// Training runs in float64 (gonum) from and to f32 models. One seed gives the
// same bits on one machine, whatever the number of its cores; other CPUs may
// differ in the last bits, which matters to nobody: what is exact is the
// average of what the sites send.
//
// The package never writes a file and keeps no state between rounds but the
// rows, and which files they are from.
package tabular

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Trainer is a trainer.Trainer, Evaluator and Statistician over one Data.
type Trainer struct {
	data    *Data
	origin  *origin            // nil: the rows do not change
	scalars map[string]float64 // of the last training

	sized *Data // whose largest feature this is
	large large
}

var (
	_ trainer.Trainer      = (*Trainer)(nil)
	_ trainer.Evaluator    = (*Trainer)(nil)
	_ trainer.Statistician = (*Trainer)(nil)
	_ trainer.Surveyor     = (*Trainer)(nil)
	_ trainer.Sourced      = (*Trainer)(nil)
	_ trainer.Contracted   = (*Trainer)(nil)
	_ trainer.Capable      = (*Trainer)(nil)
	_ trainer.Rated        = (*Trainer)(nil)
)

// New returns a trainer on d, which must have training rows and is not to be
// changed afterwards.
func New(d *Data) (*Trainer, error) {
	if d.Train.N == 0 {
		const why = "tabular: no training rows: see where, split and, for units shorter than a window, derive"
		return nil, errors.New(strings.Join(append([]string{why}, d.Notes...), "; "))
	}
	return &Trainer{data: d}, nil
}

// Samples is the number of training rows.
func (t *Trainer) Samples() int { return t.data.Train.N }

// Features names the inputs of the model, in order.
func (t *Trainer) Features() []string { return t.data.Features }

// Classes are those of a classification, in the order of the model's outputs; nil of a
// regression.
func (t *Trainer) Classes() []string { return t.data.Classes }

// Train runs the epochs that the job's settings ask for (see Settings).
func (t *Trainer) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	s, err := ParseSettings(job.Settings)
	if err = errors.Join(err, t.ready()); err != nil {
		return nil, err
	}
	local, scalars, err := fit(ctx, global, t.data, s, job)
	t.scalars = scalars
	return local, err
}

// Capabilities are all that there are: the trainer takes the steps itself.
func (t *Trainer) Capabilities() []string { return trainer.Needs() }

// Scalars are what the last training has to tell.
func (t *Trainer) Scalars() map[string]float64 { return t.scalars }

// Evaluate returns the sums over the test rows, none if there are none.
func (t *Trainer) Evaluate(ctx context.Context, _ trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	if t.data.Test.N == 0 {
		return trainer.Evaluation{}, nil
	}
	return Score(ctx, global, t.data)
}

// Statistics returns n, mean and m2 of every feature over the training rows, and with
// class_weight the rows of each class.
func (t *Trainer) Statistics(_ context.Context, job trainer.Job) (*model.Model, error) {
	set, err := ParseSettings(job.Settings)
	if err = errors.Join(err, t.ready()); err != nil {
		return nil, err
	}
	classes := 0
	if set.ClassWeight != "" {
		if classes = len(t.data.Classes); classes == 0 {
			return nil, errClassWeight
		}
	}
	m, s := model.New(model.StatisticsSchema(len(t.data.Features), classes)), t.data.Moments()
	err = errors.Join(m.SetFloat64s(model.StatNName, s.N), m.SetFloat64s(model.StatMeanName, s.Mean), m.SetFloat64s(model.StatM2Name, s.M2))
	if classes > 0 {
		err = errors.Join(err, m.SetFloat64s(model.StatClassesName, t.data.classRows()))
	}
	return m, err
}

// Settings of a training round, from the task's "train". Keys left out take
// the default.
type Settings struct {
	Epochs      int     `json:"epochs"`        // passes over the rows, 1..100000, default 1
	Batch       int     `json:"batch"`         // rows of a step, 0 = all, default 32
	LR          float64 `json:"lr"`            // learning rate, 0 < lr <= 1000, default 0.01
	Optimizer   string  `json:"optimizer"`     // sgd, momentum or adam; default: momentum where momentum is given, else sgd
	Momentum    float64 `json:"momentum"`      // 0 <= momentum < 1, default 0, with optimizer: momentum 0.9; starts anew each round
	L2          float64 `json:"l2"`            // adds l2·w to the gradient of every weight, biases excepted; 0..1000, default 0
	MaxGradNorm float64 `json:"max_grad_norm"` // limit of the norm over all gradients; default 0 = none
	ClassWeight string  `json:"class_weight"`  // balanced: a class counts as much as another, however many rows it has; default: a row as another
}

// Settings names the settings of a training round.
func (t *Trainer) Settings() []string { return SettingNames() }

// LR is the learning rate where the settings say none.
func (t *Trainer) LR() float64 { return DefaultSettings().LR }

// SettingNames are the keys of Settings.
func SettingNames() []string {
	var names []string
	for f := range reflect.TypeFor[Settings]().Fields() {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

// DefaultSettings are those of an empty object.
func DefaultSettings() Settings { return Settings{Epochs: 1, Batch: 32, LR: 0.01} }

// ParseSettings reads settings strictly: an unknown key or a value out of
// range is an error that names it.
func ParseSettings(raw json.RawMessage) (Settings, error) {
	s := DefaultSettings()
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := (trainer.Job{Settings: raw}).Decode(&s); err != nil {
			return s, fmt.Errorf("tabular: %w", err)
		}
	}
	if s.Optimizer == optimizerMomentum && s.Momentum == 0 {
		s.Momentum = 0.9
	}
	return s, s.Validate()
}

// CheckSettings says why the trainer would decline these settings in a round whose strategy
// has these needs, of [trainer.Needs]; nil: it would not.
func CheckSettings(raw json.RawMessage, needs []string) error {
	s, err := ParseSettings(raw)
	if err != nil {
		return err
	}
	return s.suits(trainer.Job{Needs: needs})
}

// suits holds the optimiser against what a job needs.
func (s Settings) suits(job trainer.Job) error {
	if err := job.CheckOptimiser(s.Optimizer, s.Optimizer != optimizerAdam, s.Momentum); err != nil {
		return fmt.Errorf("tabular: settings: %w", err)
	}
	return nil
}

// Validate returns an error for the first value out of range.
func (s Settings) Validate() error {
	var problem string
	switch {
	case s.Epochs < 1 || s.Epochs > 100_000:
		problem = fmt.Sprintf("epochs: want 1 to 100000, not %d", s.Epochs)
	case s.Batch < 0:
		problem = fmt.Sprintf("batch: want a number of rows, 0 for all, not %d", s.Batch)
	case !(s.LR > 0 && s.LR <= 1000):
		problem = fmt.Sprintf("lr: want more than 0, up to 1000, not %v", s.LR)
	case !(s.Momentum >= 0 && s.Momentum < 1):
		problem = fmt.Sprintf("momentum: want 0 up to, not including, 1, not %v", s.Momentum)
	case !slices.Contains([]string{"", optimizerSGD, optimizerMomentum, optimizerAdam}, s.Optimizer):
		problem = fmt.Sprintf("optimizer: want sgd, momentum or adam, not %.40q", s.Optimizer)
	case s.Momentum > 0 && (s.Optimizer == optimizerSGD || s.Optimizer == optimizerAdam):
		problem = fmt.Sprintf("momentum: has no effect with optimizer: %s", s.Optimizer)
	case s.ClassWeight != "" && s.ClassWeight != classWeightBalanced:
		problem = fmt.Sprintf("class_weight: want balanced, not %.40q", s.ClassWeight)
	case !(s.L2 >= 0 && s.L2 <= 1000):
		problem = fmt.Sprintf("l2: want 0 to 1000, not %v", s.L2)
	case !(s.MaxGradNorm >= 0) || math.IsInf(s.MaxGradNorm, 0):
		problem = fmt.Sprintf("max_grad_norm: want a positive number, 0 for no limit, not %v", s.MaxGradNorm)
	default:
		return nil
	}
	return errors.New("tabular: settings: " + problem)
}
