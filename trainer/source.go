package trainer

import (
	"context"
	"time"
)

// Sourced is an optional part of a Trainer whose rows come from somewhere that
// may change while it runs.
type Sourced interface {
	// Refresh reads the rows again where that is due. A site calls it before
	// everything else of a job, and asks for Samples afterwards. An error makes the
	// site decline the round.
	Refresh(ctx context.Context, job Job) error
	// Source says what was read last.
	Source() Source
}

// Source is what a trainer has read.
type Source struct {
	Rows, TestRows int
	Read           time.Time // zero: the trainer does not say
	SHA256         string    // in hex, of the bytes; of several files, of their hashes
}

// Refresh has t read its rows again, if it can and should.
func Refresh(ctx context.Context, t Trainer, job Job) error {
	if s, ok := t.(Sourced); ok {
		return s.Refresh(ctx, job)
	}
	return nil
}

// SourceOf returns what t has read; zero: it does not say.
func SourceOf(t Trainer) Source {
	if s, ok := t.(Sourced); ok {
		return s.Source()
	}
	return Source{}
}
