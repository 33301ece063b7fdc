package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/consumer"
	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

// consume follows what is released for a node, which says what it runs.
func (c *modelGetCmd) consume(ctx context.Context, log zerolog.Logger) error {
	ns, o, err := c.topics()
	if err != nil {
		return err
	}
	opener, err := c.opener(ns, c.Keys)
	if err != nil {
		return usageError{err}
	}
	way, err := c.config(log, "consumer", link.Config{})
	if err != nil {
		return err
	}
	if !toStdout(c.Output) {
		if _, err := target(c.Output); err != nil {
			return err // before anybody waits for it
		}
	}
	live := progressOf(os.Stderr)
	err = consumer.Run(ctx, consumer.Config{
		Link: way, NS: ns, Owner: o, Task: c.Task, Path: c.Path, Opener: opener, Largest: uint64(maxModelFile), Agent: "fedmq/" + version,
		Has:  func() (*wire.Header, time.Time, error) { return c.has(o) },
		Take: func(ctx context.Context, m *follow.Model) error { return c.take(ctx, m) },
		Complain: func(err error) {
			live.end()
			fmt.Fprintln(os.Stderr, "fedmq:", err)
		},
		Progress: func(version uint64, have, count int) { live.show("version %d: %d of %d parts", version, have, count) },
	})
	live.end()
	if errors.Is(err, consumer.ErrNode) {
		return usageError{err}
	}
	return err
}

// take puts a version in the place of the one before, which comes back where the command
// fails.
func (c *modelGetCmd) take(ctx context.Context, m *follow.Model) error {
	before, err := c.setAside()
	if err != nil {
		return err
	}
	err = c.write(aboutOf(m), m.Model, m.Header.Epoch, m.Contract)
	if err == nil {
		err = c.exec(ctx, m.Header)
	}
	return errors.Join(err, before.settle(err == nil && ctx.Err() == nil))
}
