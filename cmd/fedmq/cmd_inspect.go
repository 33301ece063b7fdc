package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

type inspectCmd struct {
	clientFlags
	File  string        `arg:"" optional:"" help:"File with one message; - or nothing: standard input."`
	Topic string        `short:"t" placeholder:"TOPIC" help:"Take the message from this topic instead."`
	Wait  time.Duration `default:"10s" help:"How long to wait for a message on the topic."`
}

func (inspectCmd) Help() string {
	return `Shows header, fields and the tensors' shapes and ranges as JSON; checks structure
and hashes, not signatures. Exit code 1 if the message is broken; what could be read is
printed all the same.

  fedmq inspect -t acme/_fl_v1/quality/model
  mosquitto_sub -C 1 -N -t acme/_fl_v1/quality/order | fedmq inspect`
}

// maxInspect bounds what is read from a file.
const maxInspect = 256 << 20

func (c *inspectCmd) Run(ctx context.Context, logs *logFlags) error {
	payload, err := c.payload(ctx, logs)
	if err != nil {
		return err
	}
	in, problem := wire.Inspect(payload)
	if err := indented(stdout).Encode(in); err != nil {
		return err
	}
	return problem
}

func (c *inspectCmd) payload(ctx context.Context, logs *logFlags) ([]byte, error) {
	switch {
	case c.Topic != "":
		return c.fromTopic(ctx, logs)
	case c.File == "" || c.File == "-":
		return readAll(os.Stdin, "standard input")
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readAll(f, c.File)
}

func readAll(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInspect+1))
	if err == nil && len(b) > maxInspect {
		err = fmt.Errorf("%s: more than %d bytes", name, maxInspect)
	}
	return b, err
}

func (c *inspectCmd) fromTopic(ctx context.Context, logs *logFlags) ([]byte, error) {
	cl, err := c.connect(ctx, logs.quiet(), "inspect", link.Filter{Topic: c.Topic, QoS: 1})
	if err != nil {
		return nil, err
	}
	m, err := cl.next(ctx, c.Wait, func(link.Message) bool { return true })
	if err != nil {
		err = fmt.Errorf("%s: %w", c.Topic, err)
	}
	return m.Payload, errors.Join(err, cl.stop())
}
