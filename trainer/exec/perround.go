package exec

import (
	"context"
	"errors"
)

// runOnce runs the program for one request, which it finds in its environment
// . It has answered when it has said done and ended with code 0.
func (t *Trainer) runOnce(ctx context.Context, req request, progress func(done, total int)) (reply, error) {
	p, err := start(t.cfg, req.environ(), false)
	if err != nil {
		return reply{}, err
	}
	defer p.end()
	var answer *reply
	for {
		select {
		case <-ctx.Done():
			return reply{}, context.Cause(ctx)
		case <-t.cfg.stopping:
			<-p.ended // obey sees to that
			return reply{}, errStopping
		case h, open := <-p.lines:
			switch {
			case !open:
				return t.answered(p, answer)
			case h.err != nil:
				return reply{}, h.err
			case answer != nil:
				return reply{}, broken("%s after the answer", h.reply.kind)
			case h.reply.kind == typeProgress:
				if progress != nil {
					progress(int(h.reply.done), int(h.reply.total))
				}
			case (h.reply.kind == typeHello) != (req.Type == typeHello) && h.reply.kind != typeError:
				return reply{}, broken("%s as the answer to %s", h.reply.kind, req.Type)
			default:
				answer = &h.reply
			}
		}
	}
}

// answered judges a program that has closed its output.
func (t *Trainer) answered(p *process, answer *reply) (reply, error) {
	if !p.endsIn(t.cfg.times.bye) {
		return reply{}, broken("standard output is closed, the program still runs")
	}
	switch {
	case answer != nil && answer.kind == typeError:
		return *answer, nil
	case !p.cmd.ProcessState.Success():
		return reply{}, errors.New(p.epitaph())
	case answer == nil:
		return reply{}, broken("ended without an answer, want the line {\"type\":\"done\"}")
	}
	return *answer, nil
}

// greetOnce runs the program for its hello.
func (t *Trainer) greetOnce(ctx context.Context) error {
	ctx, progress, stop := t.loading(ctx)
	defer stop()
	r, err := t.runOnce(ctx, request{Type: typeHello, Task: t.cfg.Task, Member: t.cfg.Member}, progress)
	if err != nil {
		return err
	}
	return t.greet(r)
}
