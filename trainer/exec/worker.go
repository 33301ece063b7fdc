package exec

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// converse makes a request of a program that runs on, which is started again
// if it has ended.
func (t *Trainer) converse(ctx context.Context, req request, progress func(done, total int)) (reply, error) {
	if err := t.revive(ctx); err != nil {
		return reply{}, err
	}
	p := t.running
	p.busy.Store(true)
	defer p.busy.Store(false)
	if err := p.write(req.line()); err != nil {
		return reply{}, t.fail(p.lastWords(fmt.Errorf("standard input: %w", err)))
	}
	for {
		select {
		case <-ctx.Done():
			return reply{}, t.cancel(context.Cause(ctx), p, req.ID)
		case <-t.cfg.stopping:
			return reply{}, t.cancel(errStopping, p, req.ID)
		case h, open := <-p.lines:
			switch {
			case !open:
				return reply{}, t.fail(nil)
			case h.err != nil:
				return reply{}, t.fail(h.err)
			case h.reply.kind == typeHello || h.reply.id > req.ID:
				return reply{}, t.fail(broken("%s for a request %d that was not made", h.reply.kind, h.reply.id))
			case h.reply.id < req.ID && h.reply.id != 0 || h.reply.kind == typeProgress && h.reply.id == 0:
				// late news of a request that was cancelled
			case h.reply.kind == typeProgress:
				if progress != nil {
					progress(int(h.reply.done), int(h.reply.total))
				}
			default:
				t.failures = 0
				if h.reply.id == 0 && h.reply.kind == typeDone {
					return reply{}, t.fail(broken("done without an id"))
				}
				return h.reply, nil
			}
		}
	}
}

// cancel ends a request that is not wanted any more: the program is told, and
// ended if it does not answer.
func (t *Trainer) cancel(cause error, p *process, id uint64) error {
	_ = p.write(request{Type: typeCancel, ID: id}.line()) // what cannot be told is ended below
	patience := time.After(p.cfg.times.cancel)
	for {
		select {
		case <-patience:
			t.cfg.Log.Warn().Msg("the trainer does not stop its work and is ended")
			t.drop()
			return cause
		case h, open := <-p.lines:
			switch {
			case !open || h.err != nil:
				t.drop()
				return cause
			case h.reply.id == id && h.reply.kind != typeProgress:
				if !errors.Is(cause, errTimeout) {
					t.failures = 0
				}
				return cause
			}
		}
	}
}

// drop ends the program without counting it as a failure.
func (t *Trainer) drop() {
	t.running.end()
	t.running = nil
}

// fail ends the program, notes the failure, and says what went wrong: err, or
// without one how the program ended.
func (t *Trainer) fail(err error) error {
	p := t.running
	t.running = nil
	if err == nil || !errors.Is(err, ErrProtocol) {
		// It has ended, or is about to: its own words say most.
		p.endsIn(orphanTime)
	}
	ended := p.gone()
	p.end()
	if t.cfg.stopped() {
		return errStopping
	}
	t.failures++
	pause := t.cfg.times.first << min(t.failures-1, 16)
	t.resume = time.Now().Add(min(pause, t.cfg.times.most))
	switch {
	case err == nil:
		err = errors.New(p.epitaph())
	case ended && strings.Contains(p.talk.lastLine(), err.Error()): // it has said it twice
		err = fmt.Errorf("ended (%s): %w", p.state, err)
	case ended && !errors.Is(err, ErrProtocol):
		err = fmt.Errorf("%s (%w)", p.epitaph(), err)
	}
	t.cfg.Log.Warn().Err(err).Int("failures", t.failures).Msg("trainer failed")
	return err
}

// revive sees to it that the program runs.
func (t *Trainer) revive(ctx context.Context) error {
	if t.running != nil {
		if !t.running.gone() {
			return nil
		}
		_ = t.fail(nil) // it ended between two requests, which costs no round
		t.failures, t.resume = 0, time.Time{}
	}
	if pause := time.Until(t.resume); pause > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.cfg.stopping:
			return errStopping
		case <-time.After(pause):
		}
	}
	return t.launch(ctx)
}

// launch starts the program and waits for its hello.
func (t *Trainer) launch(ctx context.Context) error {
	p, err := start(t.cfg, []string{"FEDMQ_VERSION=" + strconv.Itoa(Version)}, true)
	if err != nil {
		t.failures++
		t.resume = time.Now().Add(min(t.cfg.times.first<<min(t.failures-1, 16), t.cfg.times.most))
		return err
	}
	t.running = p
	hello := request{Type: typeHello, Version: Version, Task: t.cfg.Task, Member: t.cfg.Member, Group: p.group()}
	if err := p.write(hello.line()); err != nil {
		return t.fail(p.lastWords(p.silent(fmt.Errorf("standard input: %w", err))))
	}
	ctx, progress, stop := t.loading(ctx)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, ErrProtocol) {
				return t.fail(cause)
			}
			t.drop()
			return context.Cause(ctx)
		case h, open := <-p.lines:
			switch {
			case !open:
				return t.fail(p.silent(nil))
			case h.err != nil:
				return t.fail(h.err)
			case h.reply.kind == typeProgress:
				progress(int(h.reply.done), int(h.reply.total))
				continue
			}
			if err := t.greet(h.reply); err != nil {
				return t.fail(err)
			}
			return nil
		}
	}
}

// loadingEvery is how often the log says that a hello is waited for.
const loadingEvery = 30 * time.Second

// loading bounds the time to a program's hello: progress begins it anew.
func (t *Trainer) loading(ctx context.Context) (_ context.Context, progress func(done, total int), stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(t.cfg.Start, func() {
		cancel(broken("no hello within %v; a program that loads for longer wants a larger start in its configuration (trainer.exec.start: 15m),"+
			" or says progress meanwhile (X-5)", t.cfg.Start))
	})
	var said sync.WaitGroup
	said.Go(func() {
		tick := time.NewTicker(loadingEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				t.cfg.Log.Info().Stringer("start", t.cfg.Start).Msg("the trainer has not said hello yet and is waited for")
			}
		}
	})
	progress = func(done, total int) {
		late.Reset(t.cfg.Start)
		t.cfg.Log.Info().Int("done", done).Int("total", total).Msg("the trainer loads")
	}
	return ctx, progress, func() {
		late.Stop()
		cancel(nil)
		said.Wait()
	}
}

// greet takes a program's hello.
func (t *Trainer) greet(r reply) error {
	switch r.kind {
	case typeHello:
		t.hello.Store(&r)
		t.cfg.Log.Info().Str("program", r.name).Int64("samples", r.samples).Msg("trainer ready")
		return nil
	case typeError:
		return errors.New(r.message)
	}
	return broken("%s before hello", r.kind)
}
