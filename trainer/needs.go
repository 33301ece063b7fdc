package trainer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// What a strategy may need of local training. A trainer names those that it has
// ([Capable]), a job those that it wants ([Job.Needs]): a trainer that passes over mu
// is federated averaging under another name, and nobody would see it.
const (
	NeedMu         = "mu"         // adds Job.Mu times (weights - received weights) to every gradient
	NeedCorrection = "correction" // adds the tensors of Job.Correction to every gradient
	NeedSGD        = "sgd"        // each step is plain gradient descent, or the settings are refused
	NeedMomentum   = "momentum"   // likewise, with heavy-ball momentum or without
	NeedSteps      = "steps"      // tells ScalarSteps, ScalarLR and ScalarMomentum
	NeedLoss0      = "loss0"      // tells ScalarLoss0
)

// Scalars that a trainer tells of its training, for the fold.
const (
	ScalarSteps    = "steps"    // steps of the local optimiser, 1 and up
	ScalarLR       = "lr"       // its learning rate, above 0
	ScalarMomentum = "momentum" // its momentum, 0 up to 1
	ScalarLoss0    = "loss0"    // mean loss of the received model over the training rows, 0 and up
)

// Capable is an optional part of a Trainer that can more than take steps of its own.
type Capable interface {
	// Capabilities are those of the Need constants that the trainer has, in any order.
	Capabilities() []string
	// Scalars are those that the job of the last Train needed, by their names.
	Scalars() map[string]float64
}

// Needs lists all Need constants.
func Needs() []string {
	return []string{NeedCorrection, NeedLoss0, NeedMomentum, NeedMu, NeedSGD, NeedSteps}
}

// CapabilitiesOf returns what t can, ascending; nil: nothing of it.
func CapabilitiesOf(t Trainer) []string {
	c, ok := t.(Capable)
	if !ok {
		return nil
	}
	list := slices.Clone(c.Capabilities())
	slices.Sort(list)
	return slices.Compact(list)
}

// Lacking returns those of needs that are not among the capabilities.
func Lacking(capabilities, needs []string) (list []string) {
	for _, n := range needs {
		if !slices.Contains(capabilities, n) {
			list = append(list, n)
		}
	}
	return list
}

// ErrNeeds is wrapped by the error of a trainer whose settings do not go with what the
// job needs. The site declines the order as unsupported.
var ErrNeeds = errors.New("the strategy needs another local optimiser")

// Wants reports whether the job needs something.
func (j Job) Wants(need string) bool { return slices.Contains(j.Needs, need) }

// CheckOptimiser holds the optimiser of the settings against what the job needs: sgd
// says that it is gradient descent with this momentum, 0 for none. The error names
// what it is, and wraps [ErrNeeds].
func (j Job) CheckOptimiser(name string, sgd bool, momentum float64) error {
	switch {
	case j.Wants(NeedSGD) && !(sgd && momentum == 0):
		if sgd {
			name = fmt.Sprintf("momentum %v", momentum)
		}
		return fmt.Errorf("%w: plain SGD, not %s; leave momentum and optimizer out of train", ErrNeeds, name)
	case j.Wants(NeedMomentum) && !sgd:
		return fmt.Errorf("%w: SGD with or without momentum, not %s; train: {optimizer: sgd} or momentum", ErrNeeds, name)
	}
	return nil
}

// ScalarsOf returns what the trainer tells of its last Train and the job needs. What
// is missing, or can be no such number, is an error that names it.
func (j Job) ScalarsOf(t Trainer) (map[string]float64, error) {
	var told map[string]float64
	if c, ok := t.(Capable); ok {
		told = c.Scalars()
	}
	names := map[string]func(v float64) string{}
	if j.Wants(NeedSteps) {
		names[ScalarSteps] = func(v float64) string { return unless(v >= 1 && v == math.Trunc(v), "a whole number from 1") }
		names[ScalarLR] = func(v float64) string { return unless(v > 0, "more than 0") }
		names[ScalarMomentum] = func(v float64) string { return unless(v >= 0 && v < 1, "0 up to, not including, 1") }
	}
	if j.Wants(NeedLoss0) {
		names[ScalarLoss0] = func(v float64) string { return unless(v >= 0, "0 or more") }
	}
	if len(names) == 0 {
		return nil, nil
	}
	out, wrong := map[string]float64{}, []string(nil)
	for name, check := range names {
		v, ok := told[name]
		switch want := check(v); {
		case !ok:
			wrong = append(wrong, name+" is missing")
		case want != "" || math.IsInf(v, 0):
			wrong = append(wrong, fmt.Sprintf("%s is %v, want a finite number, %s", name, v, want))
		}
		out[name] = v
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return nil, fmt.Errorf("the trainer was to tell what the strategy needs of its training: %s", strings.Join(wrong, "; "))
	}
	return out, j.CheckOptimiser("another", true, told[ScalarMomentum])
}

func unless(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}
