package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

type sendCmd struct {
	clientFlags
	Command   string        `arg:"" enum:"start,pause,pause_now,resume,stop,exclude,include,release,rollback,set" help:"start, pause (at the round's end), pause_now, resume, stop, exclude, include, release, rollback or set."`
	About     []string      `arg:"" optional:"" name:"about" help:"Of exclude and include: members, their paths below the namespace. Of release and rollback: the version of the model; rollback without one takes a canary back. Of set: KEY=VALUE."`
	Namespace string        `short:"n" required:"" placeholder:"PREFIX" help:"Enterprise prefix of the UNS."`
	Task      string        `short:"t" required:"" placeholder:"NAME" help:"Name of the task."`
	Owner     string        `placeholder:"PATH" help:"Node that owns the task, below the namespace; empty for the namespace itself."`
	AtRound   uint64        `help:"Round that start or stop is meant for; default: the current one."`
	Pause     string        `placeholder:"ID" help:"Id of the pause that resume ends; default: the one that the task shows."`
	To        []string      `placeholder:"FILTER" help:"Of release: only nodes whose paths these filters match, such as berlin/+ or berlin/#, run the version, as a canary; with commas, or repeated."`
	SignKey   string        `type:"existingfile" placeholder:"FILE" help:"Operator's private key (Ed25519, PEM), for a signed task."`
	Wait      time.Duration `default:"10s" help:"How long to wait for the aggregator's answer."`
}

func (sendCmd) Help() string {
	return `A command is done once. Start and stop name the round that they are meant for, resume names
the pause that it ends: none of them does anything when it comes late. Release names the version
that is approved for use: with a gate (release: of the task) one that has passed it, else any one
that the aggregator keeps. What came of it is printed as the aggregator's event; exit code 1 if
no answer came or it was refused.

Release --to has only the nodes run the version that the filters match: a canary. It is held against
the released version by what the sites that match measure, for the evaluations and the time of the
gate, and stops where it does not pass or one of these nodes cannot take it. One that has held is released
to all (approve: auto) or by the same command without --to. Rollback without a version takes it back.

Rollback makes a former version the newest one again, in a round of its own: model, guard and
optimiser are as they were after it, and so are the lines, if they had a later one.

Excluded members are asked no more, from the next order on, until they are included again;
the task remembers it over restarts, and every record names them.

Set changes settings below train, from the next round on, until they are set again: KEY= alone
takes one back to the configuration's. The task remembers that too, records say what was set.

  fedmq send pause -n acme -t quality
  fedmq send exclude berlin/line-1 -n acme -t quality
  fedmq send release 12 -n acme -t quality
  fedmq send release 12 --to berlin/+ -n acme -t quality
  fedmq send rollback 9 -n acme -t quality
  fedmq send set lr=.003 batch=64 -n acme -t quality`
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
	if c.Pause != "" && c.Command != string(round.OpResume) {
		return usageError{fmt.Errorf("--pause has no effect with %s: a resume names the pause that it ends", c.Command)}
	}
	if len(c.To) > 0 && c.Command != string(round.OpRelease) {
		return usageError{fmt.Errorf("--to has no effect with %s: a release names who runs the version first", c.Command)}
	}
	args, err := c.args()
	if err != nil {
		return usageError{err}
	}
	cl, err := c.connect(ctx, logs.quiet(), "send", link.Filter{Topic: o.Round(), QoS: 1}, link.Filter{Topic: o.Event()})
	if err != nil {
		return err
	}
	err = c.send(ctx, cl, o, args)
	return errors.Join(err, cl.stop())
}

// args is what the command is about, nil for nothing.
func (c *sendCmd) args() (*aggregator.Args, error) {
	switch round.Op(c.Command) {
	case round.OpRelease, round.OpRollback:
		if len(c.About) == 0 && round.Op(c.Command) == round.OpRollback {
			return nil, nil // the canary
		}
		return c.version()
	case round.OpSet:
		return c.set()
	case round.OpExclude, round.OpInclude:
		return c.members()
	default:
		if len(c.About) > 0 {
			return nil, fmt.Errorf("%s is about the whole task: %q has no effect", c.Command, c.About[0])
		}
		return nil, nil
	}
}

// version reads the number of one.
func (c *sendCmd) version() (*aggregator.Args, error) {
	version, err := strconv.ParseUint(strings.Join(c.About, " "), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s what? %q is no number of a version, as round and model get print it", c.Command, c.About)
	}
	for _, f := range c.To {
		if err := topics.CheckPathFilter(f); err != nil {
			return nil, fmt.Errorf("--to: %w", err)
		}
	}
	to := slices.Clone(c.To)
	slices.Sort(to)
	return &aggregator.Args{Version: &version, To: slices.Compact(to)}, nil
}

// members reads their paths, each once.
func (c *sendCmd) members() (*aggregator.Args, error) {
	if len(c.About) == 0 {
		return nil, fmt.Errorf("%s whom? Name members by their paths below the namespace, such as berlin/line-1", c.Command)
	}
	for _, path := range c.About {
		if err := topics.CheckPath(path); err != nil {
			return nil, err
		}
	}
	members := slices.Clone(c.About)
	slices.Sort(members)
	return &aggregator.Args{Members: slices.Compact(members)}, nil
}

// set reads KEY=VALUE: a number where it is one, else a text.
func (c *sendCmd) set() (*aggregator.Args, error) {
	set := map[string]any{}
	for _, text := range c.About {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := set[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("set %s: want KEY=VALUE, each key once, such as lr=.003", text)
		}
		set[name] = value
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			set[name] = number
		} else if value == "" {
			set[name] = nil
		}
	}
	if len(set) == 0 {
		return nil, errors.New("set what? KEY=VALUE, such as lr=.003")
	}
	b, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("set: %w", err) // NaN and infinities
	}
	return &aggregator.Args{Settings: b}, nil
}

// late is how a command is refused whose round has gone by.
const late = "refused, at round"

func (c *sendCmd) send(ctx context.Context, cl *client, o topics.Owner, args *aggregator.Args) error {
	m, err := cl.next(ctx, c.Wait, func(m link.Message) bool { return m.Topic == o.Round() && len(m.Payload) > 0 })
	if err != nil {
		return fmt.Errorf("no view of task %s on %s: %w", c.Task, o.Round(), err)
	}
	var shown view.Round
	if err := json.Unmarshal(m.Payload, &shown); err != nil {
		return fmt.Errorf("%s: %w", o.Round(), err)
	}
	at := watch.Aim{Round: cmp.Or(c.AtRound, shown.Round), Pause: cmp.Or(c.Pause, shown.Pause), Origin: shown.Origin}
	ev, err := c.ask(ctx, cl, o, at, args)
	for range 5 { // rounds may go by faster than they are shown
		if err != nil || c.AtRound != 0 || !strings.Contains(ev.Detail, late) {
			break
		}
		at.Round = ev.Round
		ev, err = c.ask(ctx, cl, o, at, args)
	}
	if err != nil {
		return err
	}
	if strings.Contains(ev.Detail, "refused") {
		return fmt.Errorf("round %d: %s", ev.Round, ev.Detail)
	}
	fmt.Fprintf(stdout, "round %d: %s\n", ev.Round, ev.Detail)
	return nil
}

// ask sends the command and returns what the aggregator says to it.
func (c *sendCmd) ask(ctx context.Context, cl *client, o topics.Owner, at watch.Aim, args *aggregator.Args) (ev view.Event, err error) {
	id := rand.Text()
	payload, err := commandPayload(o.Command(), id, c.Command, at, args, c.SignKey)
	if err != nil {
		return ev, err
	}
	if err := cl.conn.Publish(ctx, link.Message{Topic: o.Command(), Payload: payload, QoS: 1}); err != nil {
		return ev, err
	}
	_, err = cl.next(ctx, c.Wait, func(m link.Message) bool {
		var e view.Event
		mine := m.Topic == o.Event() && json.Unmarshal(m.Payload, &e) == nil && e.Event == round.FactCommand &&
			(e.Member == id || e.Member == "")
		if mine {
			ev = e
		}
		return mine
	})
	if err != nil {
		return ev, fmt.Errorf("%s was sent for round %d; no answer from the aggregator: %w", c.Command, at.Round, err)
	}
	return ev, nil
}

// commandPayload is a command as it travels, signed if there is a key file.
func commandPayload(topic, id, op string, at watch.Aim, args *aggregator.Args, signKey string) ([]byte, error) {
	c := aggregator.Command{
		Schema: aggregator.CommandSchema, ID: id, Command: round.Op(op), AtRound: at.Round, TimestampMS: time.Now().UnixMilli(), Topic: topic,
		Origin: at.Origin, Args: args,
	}
	if c.Command == round.OpResume {
		c.Pause = at.Pause
	}
	payload, err := json.Marshal(c)
	if err != nil || signKey == "" {
		return payload, err
	}
	key, err := wire.LoadPrivateKeyPEM(signKey)
	if err != nil {
		return nil, usageError{err}
	}
	return record.SignCommand(payload, key)
}
