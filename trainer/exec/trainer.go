package exec

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// Trainer is a trainer.Trainer and trainer.Evaluator whose work another program
// does. Its methods are called one at a time; [Trainer.Close] ends the program.
type Trainer struct {
	cfg     Config
	files   *files
	hello   atomic.Pointer[reply] // the last one
	running *process              // of ModeWorker; nil: none
	nextID  uint64
	scalars map[string]float64 // of the last training

	once    sync.Once   // of Stop
	unwatch func() bool // of the context of Start

	failures int       // since the last request that was answered
	resume   time.Time // not started again before
}

var (
	_ trainer.Trainer   = (*Trainer)(nil)
	_ trainer.Evaluator = (*Trainer)(nil)

	_ trainer.Configured = (*Trainer)(nil)
	_ trainer.Contracted = (*Trainer)(nil)
	_ trainer.Capable    = (*Trainer)(nil)
)

// Start starts the program and waits for its hello. When ctx ends the program
// does, as by [Trainer.Stop]; [Trainer.Close] is due all the same. On Linux the
// directory of files is this process's alone, and what a process that was killed
// has left of its program is ended first.
func Start(ctx context.Context, cfg Config) (*Trainer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	f, err := openFiles(cfg.Files)
	if err != nil {
		return nil, cfg.describe(err)
	}
	if f.left > 0 {
		cfg.Log.Warn().Int("processes", f.left).Msg("an earlier run of the trainer was left by a site that was killed, and is ended")
	}
	cfg.extra = f.environ()
	t := &Trainer{cfg: cfg, files: f}
	t.unwatch = context.AfterFunc(ctx, t.Stop)
	if cfg.Mode == ModePerRound {
		err = t.greetOnce(ctx)
	} else {
		err = t.launch(ctx)
	}
	if err != nil {
		return nil, cfg.describe(errors.Join(err, t.Close()))
	}
	return t, nil
}

// Samples is the number of training rows that the program has.
func (t *Trainer) Samples() int { return int(t.hello.Load().samples) }

// Settings are the names of the settings that the program reads; nil: it does
// not say.
func (t *Trainer) Settings() []string { return t.hello.Load().settings }

// Contract is what the program says that the model means; nil: it does not say.
func (t *Trainer) Contract() *pipeline.Contract { return t.hello.Load().contract }

// Capabilities are those that the program says it has.
func (t *Trainer) Capabilities() []string { return t.hello.Load().capabilities }

// Scalars are what the program has told of its last training.
func (t *Trainer) Scalars() map[string]float64 { return t.scalars }

// Train has the program train the global model.
func (t *Trainer) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	local, err := t.model(ctx, typeTrain, job, global, int64(len(global.Blob)))
	if err == nil {
		local, err = fit(local, global)
	}
	return local, t.cfg.describe(err)
}

// Evaluate has the program measure the global model; without that capability
// there is nothing to tell.
func (t *Trainer) Evaluate(ctx context.Context, job trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	if !t.hello.Load().evaluate {
		return trainer.Evaluation{}, nil
	}
	if err := t.files.put(global); err != nil {
		return trainer.Evaluation{}, t.cfg.describe(err)
	}
	req, err := t.request(typeEvaluate, job)
	if err != nil {
		return trainer.Evaluation{}, t.cfg.describe(err)
	}
	req.Model = t.files.model()
	r, err := t.ask(ctx, req, job.Progress)
	return r.measured, t.cfg.describe(err)
}

// Init asks the program for a first model, drawn from the seed.
func (t *Trainer) Init(ctx context.Context, seed [32]byte) (*model.Model, error) {
	if !t.hello.Load().init {
		return nil, t.cfg.describe(errors.New("the program cannot make a first model (its hello says no init)"))
	}
	m, err := t.model(ctx, typeInit, trainer.Job{Task: t.cfg.Task, Member: t.cfg.Member, Seed: seed}, nil, maxInit)
	return m, t.cfg.describe(err)
}

// Site returns what a site is given: a trainer.Statistician only where the
// program can do that.
func (t *Trainer) Site() trainer.Trainer {
	if t.hello.Load().statistics {
		return statistician{t}
	}
	return t
}

type statistician struct{ *Trainer }

// Statistics has the program compute n, mean and m2 of its features.
func (s statistician) Statistics(ctx context.Context, job trainer.Job) (*model.Model, error) {
	m, err := s.model(ctx, typeStatistics, job, nil, maxStatistics)
	return m, s.cfg.describe(err)
}

// model makes a request that is answered with a model.
func (t *Trainer) model(ctx context.Context, kind string, job trainer.Job, global *model.Model, limit int64) (*model.Model, error) {
	req, err := t.request(kind, job)
	if err != nil {
		return nil, err
	}
	if global != nil {
		if err := t.files.put(global); err != nil {
			return nil, err
		}
		req.Model = t.files.model()
	}
	if err := t.files.clear(false); err != nil {
		return nil, err
	}
	req.Out = t.files.out()
	if job.Correction != nil {
		if err := t.files.correct(job.Correction); err != nil {
			return nil, err
		}
		req.Correction = t.files.correction()
	}
	r, err := t.ask(ctx, req, job.Progress)
	if err != nil {
		return nil, errors.Join(err, t.files.clear(false))
	}
	t.scalars = r.scalars
	return t.files.take(limit)
}

// request describes a job.
func (t *Trainer) request(kind string, job trainer.Job) (request, error) {
	t.nextID++
	r := request{
		Type: kind, ID: t.nextID, Task: job.Task, Member: job.Member, Round: job.Round, Attempt: job.Attempt,
		Seed: hex.EncodeToString(job.Seed[:]), Settings: json.RawMessage("{}"),
	}
	if kind == typeTrain {
		r.Needs, r.Mu = job.Needs, job.Mu
	}
	if len(bytes.TrimSpace(job.Settings)) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, job.Settings); err != nil {
			return r, fmt.Errorf("settings: %w", err)
		}
		r.Settings = compact.Bytes()
	}
	return r, nil
}

// errTimeout is the cause when Config.Timeout has ended a request.
var errTimeout = errors.New("no answer within the timeout")

// ask makes one request of the program and returns its answer.
func (t *Trainer) ask(ctx context.Context, req request, progress func(done, total int)) (reply, error) {
	if t.cfg.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, t.cfg.Timeout, fmt.Errorf("%w of %v", errTimeout, t.cfg.Timeout))
		defer stop()
	}
	if t.cfg.stopped() {
		return reply{}, errStopping
	}
	ask := t.converse
	if t.cfg.Mode == ModePerRound {
		ask = t.runOnce
	}
	r, err := ask(ctx, req, progress)
	if err == nil && r.kind == typeError {
		if r.message == "" {
			r.message = "an error without a message"
		}
		err = errors.New(r.message)
	}
	return r, err
}
