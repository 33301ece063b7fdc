package main

import (
	"context"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// program is a trainer as trainer/exec has them.
type program struct{ closed bool }

func (p *program) Samples() int { return 1 }

func (p *program) Train(context.Context, trainer.Job, *model.Model) (*model.Model, error) {
	return nil, nil
}

func (p *program) Evaluate(context.Context, trainer.Job, *model.Model) (trainer.Evaluation, error) {
	return trainer.Evaluation{}, nil
}
func (p *program) Close() error { p.closed = true; return nil }

type counting struct{ *program }

func (counting) Statistics(context.Context, trainer.Job) (*model.Model, error) { return nil, nil }

// --slow takes two seconds, is cancelled, and hides nothing that a trainer can.
func TestSlow(t *testing.T) {
	t.Parallel()
	p := new(program)
	for _, tr := range []trainer.Trainer{p, counting{p}} {
		slow := slowed(tr, true)
		_, want := tr.(trainer.Statistician)
		if _, ok := slow.(trainer.Statistician); ok != want {
			t.Errorf("%T is a statistician: %v, want %v", slow, ok, want)
		}
		if _, ok := slow.(trainer.Evaluator); !ok {
			t.Errorf("%T cannot evaluate", slow)
		}
		p.closed = false
		if c, ok := slow.(io.Closer); !ok || c.Close() != nil || !p.closed {
			t.Errorf("%T does not end the program", slow)
		}
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			if _, err := slow.Train(t.Context(), trainer.Job{}, nil); err != nil || time.Since(began) != slowTime {
				t.Errorf("%v after %v, want no error after %v", err, time.Since(began), slowTime)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := slow.Train(ctx, trainer.Job{}, nil); err == nil {
				t.Error("went on after the round was over")
			}
		})
	}
	if slowed(p, false) != trainer.Trainer(p) {
		t.Error("slow without being asked")
	}
}

// Whatever a trainer of rows can, it can with --slow: a site asks it what it is.
func TestSlowHidesNothing(t *testing.T) {
	t.Parallel()
	of := reflect.TypeFor[*tabular.Trainer]()
	slow := reflect.TypeOf(slowed(new(tabular.Trainer), true))
	for _, part := range []reflect.Type{
		reflect.TypeFor[trainer.Evaluator](), reflect.TypeFor[trainer.Statistician](), reflect.TypeFor[trainer.Surveyor](), reflect.TypeFor[trainer.Contracted](),
		reflect.TypeFor[trainer.Follower](), reflect.TypeFor[trainer.Capable](), reflect.TypeFor[trainer.Configured](), reflect.TypeFor[trainer.Rated](),
		reflect.TypeFor[trainer.Sourced](), reflect.TypeFor[trainer.Cautious](), reflect.TypeFor[trainer.Measuring](),
	} {
		if of.Implements(part) != slow.Implements(part) {
			t.Errorf("%v: %v, and with --slow %v", part, of.Implements(part), slow.Implements(part))
		}
	}
}
