package exec

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Initializer is an optional part of a trainer that [Serve] serves: it makes
// the first model of a federation.
type Initializer interface {
	// Init returns version 0, drawn from the seed alone.
	Init(ctx context.Context, seed [32]byte) (*model.Model, error)
}

// maxServed bounds the values of a model that Serve reads, in bytes.
const maxServed = 4 << 30

// server is the program's side of one conversation.
type server struct {
	t   trainer.Trainer
	mu  sync.Mutex // of out
	out io.Writer
	err error // of a write

	job    sync.WaitGroup
	id     uint64 // of the job
	cancel context.CancelFunc
}

// Serve is the program's side of the protocol: it answers the requests that
// come from in, usually os.Stdin, on out, usually os.Stdout, until in or ctx
// ends. What else a program prints is log, best on standard error.
func Serve(ctx context.Context, in io.Reader, out io.Writer, t trainer.Trainer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{t: t, out: out}
	requests, problem := make(chan request), make(chan error, 1)
	go func() { // ends with in, which the caller owns
		defer close(requests)
		problem <- receive(ctx, in, requests)
	}()
	return s.serve(ctx, requests, problem)
}

// receive reads requests until in ends.
func receive(ctx context.Context, in io.Reader, requests chan<- request) error {
	buf := bufio.NewReader(in)
	for {
		line, tail, err := readLine(buf, maxLine)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case tail != nil:
			return fmt.Errorf("trainer/exec: a request longer than %d bytes", maxLine)
		case len(line) == 0:
			continue
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("trainer/exec: request %.60q: %w", line, err)
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return nil
		}
	}
}

// serve does one job at a time and hears cancellations meanwhile.
func (s *server) serve(ctx context.Context, requests <-chan request, problem <-chan error) error {
	defer s.finish()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r, open := <-requests:
			switch {
			case !open:
				s.finish()
				return errors.Join(<-problem, s.failed())
			case r.Type == typeHello:
				s.hello()
			case r.Type != typeCancel:
				s.job.Wait() // the agent asks one thing at a time
				s.begin(ctx, r)
			case r.ID == s.id && s.cancel != nil:
				s.cancel()
			}
		}
	}
}

// begin starts a job.
func (s *server) begin(ctx context.Context, r request) {
	ctx, cancel := context.WithCancel(ctx)
	s.id, s.cancel = r.ID, cancel
	s.job.Go(func() {
		defer cancel()
		s.answer(ctx, r)
	})
}

// finish ends the job under way.
func (s *server) finish() {
	if s.cancel != nil {
		s.cancel()
	}
	s.job.Wait()
}

func (s *server) hello() {
	n := int64(s.t.Samples())
	_, evaluates := s.t.(trainer.Evaluator)
	_, counts := s.t.(trainer.Statistician)
	_, inits := s.t.(Initializer)
	s.say(helloLine{Type: typeHello, Version: Version, Name: "fedmq (Go)", Samples: &n, Evaluate: evaluates, Statistics: counts, Init: inits, Settings: trainer.SettingsOf(s.t), Capabilities: trainer.CapabilitiesOf(s.t)})
}

// answer does a job and says how it went.
func (s *server) answer(ctx context.Context, r request) {
	done, err := s.do(ctx, r)
	if err != nil {
		s.say(errorLine{Type: typeError, ID: r.ID, Message: err.Error()})
		return
	}
	done.Type, done.ID = typeDone, r.ID
	s.say(done)
}

func (s *server) do(ctx context.Context, r request) (done doneLine, err error) {
	job := trainer.Job{
		Task: r.Task, Member: r.Member, Round: r.Round, Attempt: r.Attempt, Settings: r.Settings,
		Progress: func(done, total int) {
			s.say(progressLine{Type: typeProgress, ID: r.ID, Done: int64(done), Total: int64(total)})
		},
	}
	if seed, err := hex.DecodeString(r.Seed); err == nil {
		copy(job.Seed[:], seed)
	}
	var m *model.Model
	switch r.Type {
	case typeTrain:
		m, err = s.train(ctx, r, job, &done)
	case typeEvaluate:
		return s.evaluate(ctx, r, job)
	case typeStatistics:
		if t, ok := s.t.(trainer.Statistician); ok {
			m, err = t.Statistics(ctx, job)
		}
	case typeInit:
		if t, ok := s.t.(Initializer); ok {
			m, err = t.Init(ctx, job.Seed)
		}
	}
	if err == nil && m == nil {
		err = fmt.Errorf("this trainer cannot do %q", r.Type)
	}
	if err != nil {
		return done, err
	}
	f, err := os.Create(r.Out)
	if err != nil {
		return done, err
	}
	return done, errors.Join(m.WriteSafetensors(f, nil), f.Close())
}

// train trains, and says what the job needs to know of it.
func (s *server) train(ctx context.Context, r request, job trainer.Job, done *doneLine) (*model.Model, error) {
	global, err := model.ReadSafetensorsFile(r.Model, maxServed)
	if err != nil {
		return nil, err
	}
	job.Needs, job.Mu = r.Needs, r.Mu
	if r.Correction != "" {
		if job.Correction, err = model.ReadSafetensorsFile(r.Correction, maxServed); err != nil {
			return nil, err
		}
	}
	if no := trainer.Lacking(trainer.CapabilitiesOf(s.t), job.Needs); len(no) > 0 {
		return nil, fmt.Errorf("this trainer lacks %s", strings.Join(no, ", "))
	}
	m, err := s.t.Train(ctx, job, global)
	if err != nil {
		return nil, err
	}
	scalars, err := job.ScalarsOf(s.t)
	if err == nil && len(scalars) > 0 {
		done.Scalars = make(map[string]number, len(scalars))
		for name, v := range scalars {
			done.Scalars[name] = number(v)
		}
	}
	return m, err
}

func (s *server) evaluate(ctx context.Context, r request, job trainer.Job) (done doneLine, err error) {
	t, ok := s.t.(trainer.Evaluator)
	if !ok {
		return done, errors.New("this trainer cannot evaluate")
	}
	global, err := model.ReadSafetensorsFile(r.Model, maxServed)
	if err != nil {
		return done, err
	}
	e, err := t.Evaluate(ctx, job, global)
	done.Metrics = make(map[string]number, len(e.Metrics))
	for name, v := range e.Metrics {
		done.Metrics[name] = number(v)
	}
	done.Confusion, done.Scores = countLines(e.Counts)
	return done, err
}

// say writes one line.
func (s *server) say(v any) {
	b, err := json.Marshal(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		_, err = s.out.Write(append(b, '\n'))
	}
	s.err = errors.Join(s.err, err)
}

func (s *server) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
