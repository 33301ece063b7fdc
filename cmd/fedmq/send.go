package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

type sendCmd struct {
	clientFlags
	Command   string        `arg:"" enum:"start,pause,pause_now,resume,stop" help:"start, pause (at the round's end), pause_now, resume or stop."`
	Namespace string        `short:"n" required:"" placeholder:"PREFIX" help:"Enterprise prefix of the UNS."`
	Task      string        `short:"t" required:"" placeholder:"NAME" help:"Name of the task."`
	Owner     string        `placeholder:"PATH" help:"Node that owns the task, below the namespace; empty for the namespace itself."`
	AtRound   uint64        `help:"Round the command is meant for; default: the one that the task shows."`
	SignKey   string        `type:"existingfile" placeholder:"FILE" help:"Operator's private key (Ed25519, PEM), for a signed task."`
	Wait      time.Duration `default:"10s" help:"How long to wait for the aggregator's answer."`
}

func (sendCmd) Help() string {
	return `A command names the round it is meant for and is done once. What came of it is printed
as the aggregator's event; exit code 1 if no answer came or it was refused.

  fedmq send pause -n acme -t quality`
}

// commandEvent is what the aggregator says of a command.
type commandEvent struct {
	Event  string `json:"event"`
	Member string `json:"member"` // the command's id
	Detail string `json:"detail"`
	Round  uint64 `json:"round"`
}

func (c *sendCmd) Run(ctx context.Context, logs *logFlags) error {
	ns, err := topics.New(c.Namespace)
	if err != nil {
		return usageError{err}
	}
	o, err := ns.Owner(c.Owner, c.Task)
	if err != nil {
		return usageError{err}
	}
	cl, err := c.connect(ctx, logs.quiet(), "send", link.Filter{Topic: o.Round(), QoS: 1}, link.Filter{Topic: o.Event()})
	if err != nil {
		return err
	}
	err = c.send(ctx, cl, o)
	return errors.Join(err, cl.stop())
}

func (c *sendCmd) send(ctx context.Context, cl *client, o topics.Owner) error {
	at := c.AtRound
	if at == 0 {
		m, err := cl.next(ctx, c.Wait, func(m link.Message) bool { return m.Topic == o.Round() && len(m.Payload) > 0 })
		if err != nil {
			return fmt.Errorf("no view of task %s on %s: %w", c.Task, o.Round(), err)
		}
		var view struct {
			Round uint64 `json:"round"`
		}
		if err := json.Unmarshal(m.Payload, &view); err != nil {
			return fmt.Errorf("%s: %w", o.Round(), err)
		}
		at = view.Round
	}
	id := rand.Text()
	payload, err := commandPayload(o.Command(), id, c.Command, at, c.SignKey)
	if err != nil {
		return err
	}
	if err := cl.conn.Publish(ctx, link.Message{Topic: o.Command(), Payload: payload, QoS: 1}); err != nil {
		return err
	}
	var ev commandEvent
	_, err = cl.next(ctx, c.Wait, func(m link.Message) bool {
		return m.Topic == o.Event() && json.Unmarshal(m.Payload, &ev) == nil && ev.Event == string(round.FactCommand) &&
			(ev.Member == id || ev.Member == "")
	})
	if err != nil {
		return fmt.Errorf("%s was sent for round %d; no answer from the aggregator: %w", c.Command, at, err)
	}
	if strings.Contains(ev.Detail, "refused") {
		return fmt.Errorf("round %d: %s", ev.Round, ev.Detail)
	}
	fmt.Printf("round %d: %s\n", ev.Round, ev.Detail)
	return nil
}

// commandPayload is a command as it travels, signed if there is a key file.
func commandPayload(topic, id, op string, at uint64, signKey string) ([]byte, error) {
	payload, err := json.Marshal(aggregator.Command{
		Schema: aggregator.CommandSchema, ID: id, Command: round.Op(op), AtRound: at, TimestampMS: time.Now().UnixMilli(), Topic: topic,
	})
	if err != nil || signKey == "" {
		return payload, err
	}
	key, err := wire.LoadPrivateKeyPEM(signKey)
	if err != nil {
		return nil, usageError{err}
	}
	return record.SignCommand(payload, key)
}
