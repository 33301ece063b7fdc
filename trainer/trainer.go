// Package trainer is what a site needs to know about training: an interface
// with two methods, optional ones beside it, and the arithmetic of pooled
// metrics.
//
// Implement Trainer, give it to a site, and the site is federated: each round
// it receives the global model, calls Train, and publishes the difference
// between the answer and the model it was given. trainer/tabular is a complete
// implementation for CSV files; the package example is a small one.
//
// The package never sees a network, a clock or a file, and a trainer never
// sees another site's data.
package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// Trainer trains the global model on one site's data. A site calls its methods
// one at a time, so an implementation needs no locks.
type Trainer interface {
	// Samples is the number of training rows: the weight of this site in a
	// weighted average. It may change between rounds. A site without rows sits a
	// round out.
	Samples() int

	// Train returns the model after local training: a new model with the
	// schema of global, which it must neither change nor use once it has
	// returned: the site takes its memory. That of the returned model is the
	// trainer's again when Train is called next, and may be used for the next
	// one: for a large model this saves time. Tensors with the rule keep are
	// returned as they came. An error makes the site decline the round; ctx
	// ends when the round is over or the site stops.
	Train(ctx context.Context, job Job, global *model.Model) (*model.Model, error)
}

// Evaluator is an optional part of a Trainer: it measures the global model on
// rows the site did not train on.
type Evaluator interface {
	// Evaluate returns sums over the site's validation rows. Sites without such rows
	// return the zero Evaluation.
	Evaluate(ctx context.Context, job Job, global *model.Model) (Evaluation, error)
}

// Statistician is an optional part of a Trainer: it answers a statistics
// round.
type Statistician interface {
	// Statistics returns a model of model.StatisticsSchema, three f64 tensors of
	// shape [features]: "n", the number of observed values, "mean", and "m2", the
	// sum of squared deviations from that mean; where the model counts classes also
	// "classes", the training rows of each. No row can be read back from them.
	Statistics(ctx context.Context, job Job) (*model.Model, error)
}

// Surveyor is an optional part of a Trainer: it answers the orders of a task that only
// gathers statistics, which trains nothing.
type Surveyor interface {
	// Survey returns a model of the schema Update of base's model.Survey: of each feature
	// of the contract count, mean and m2 as Statistics has them, the rows without a value,
	// and how many values lie below lo, in each bin, and above hi, as base has them;
	// nothing in the bins of a feature whose lo and hi are equal. Base is not to be
	// changed. The site leaves out what too few rows are behind.
	Survey(ctx context.Context, job Job, base *model.Model) (*model.Model, error)
}

// Contracted is an optional part of a Trainer that knows what the model means by its
// inputs and its output. Sites of one task must mean the same: who differs is refused.
type Contracted interface {
	// Contract returns it, nil if it is not known. It is not to be changed.
	Contract() *pipeline.Contract
}

// ContractOf is what t means by a model, nil if it does not say.
func ContractOf(t Trainer) *pipeline.Contract {
	if c, ok := t.(Contracted); ok {
		return c.Contract()
	}
	return nil
}

// Job describes one piece of work.
type Job struct {
	Task   string // name of the task
	Member string // path of this site in the namespace
	Round  uint64 // from 1; the same after a restart
	// Attempt counts how often the round was opened. Work must not depend on
	// it: an attempt repeated has to give the same bits.
	Attempt uint32
	// Settings are the trainer settings of the order, a JSON object, verbatim.
	Settings json.RawMessage
	// Seed is the only source of randomness of the job (see Seed).
	Seed [32]byte
	// Needs are what the strategy needs of local training, of the Need constants,
	// ascending. A site gives a trainer no job that needs what it lacks (see Capable).
	Needs []string
	// Mu, with NeedMu: this times (weights - received weights), over all trained tensors,
	// is added to every gradient. Li et al. 2018, https://arxiv.org/abs/1812.06127
	Mu float64
	// Correction, with NeedCorrection, has tensors named and shaped as the trained ones,
	// f32 or f64: they are added to every gradient. Not to be changed.
	Correction *model.Model
	// Progress, when set, may be called with the work done and to be done, in
	// units of the trainer's choice, from the goroutine that runs the job.
	Progress func(done, total int)
}

// Decode reads Settings into v. It is strict: an unknown key, a wrong type, a
// key without a value, which would stand for the default, or anything after the object is an error. Missing settings are an empty object.
func (j Job) Decode(v any) error {
	raw := bytes.TrimSpace(j.Settings)
	if len(raw) == 0 {
		return nil
	}
	if raw[0] != '{' {
		return errors.New("trainer: settings: want a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return settingProblem(err)
	}
	if name := withoutValue(raw); name != "" {
		return fmt.Errorf("trainer: settings: %s: has no value", name)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("trainer: settings: unexpected bytes after the object")
	}
	return nil
}

// Rand returns a new generator seeded with Seed: ChaCha8, the same numbers on
// every machine.
func (j Job) Rand() *rand.Rand { return rand.New(rand.NewChaCha8(j.Seed)) }

// Report calls Progress if it is set.
func (j Job) Report(done, total int) {
	if j.Progress != nil {
		j.Progress(done, total)
	}
}
