package aggregator

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// Command is what an operator publishes on a task's command topic, never
// retained.
type Command struct {
	Schema      string   `json:"schema"`          // "fedmq.command.v1"
	ID          string   `json:"id"`              // 1..64 bytes, new for each command: it is done once
	Command     round.Op `json:"command"`         // start, pause, pause_now, resume, stop, exclude, include, release, rollback or set
	AtRound     uint64   `json:"at_round"`        // of start and stop: the current round
	Pause       string   `json:"pause,omitempty"` // of resume: the id of the pause that it ends
	Args        *Args    `json:"args,omitempty"`  // of commands that are about something
	TimestampMS int64    `json:"timestamp_ms"`    // information
	Topic       string   `json:"topic,omitempty"` // where it is published; required where it is signed

	Origin wire.Nonce `json:"origin,omitzero"` // of the task, as round shows it; required where it is signed
}

// CommandSchema is the value of Command.Schema.
const CommandSchema = "fedmq.command.v1"

const (
	maxCommand = 4 << 10
	// freshWait: a command this soon after the subscription may be an old
	// retained one whose flag the broker dropped.
	freshWait = 3 * time.Second
)

// command takes an operator's command, or refuses it where everybody sees it.
func (t *task) command(m link.Message) {
	if len(m.Payload) == 0 {
		return // cleared
	}
	c, err := t.parseCommand(m)
	if err != nil {
		if t.mayLog() {
			t.log.Warn().Err(err).Msg("command refused")
		}
		t.auditRefusedCommand(detailOf(err))
		t.tell(round.Fact{Kind: round.FactCommand, Round: t.state.Round, Attempt: t.state.Attempt, Detail: "refused: " + detailOf(err)})
		return
	}
	t.logCommand(c)
	t.step(owner.Said{Event: t.commandOf(c)})
}

// logCommand says what was commanded; what came of it is logged with its event.
func (t *task) logCommand(c Command) {
	line := t.log.Info().Str("id", c.ID).Str("command", string(c.Command))
	switch a := c.Args; {
	case a == nil:
	case a.Version != nil:
		line = line.Uint64("version", *a.Version).Strs("to", a.To)
	case a.Settings != nil:
		line = line.Interface("settings", a.set)
	default:
		line = line.Strs("members", a.Members)
	}
	line.Msg("command")
}

// commandOf is a command as the machine takes it.
func (t *task) commandOf(c Command) round.Command {
	out := round.Command{ID: c.ID, Op: c.Command, AtRound: c.AtRound, Pause: c.Pause}
	if c.Args == nil {
		out.Back = c.Command == round.OpRollback
		return out
	}
	out.Members, out.Settings = c.Args.Members, c.Args.set
	out.Back = c.Command == round.OpRollback && c.Args.Version == nil
	if c.Args.Version != nil {
		out.Version = *c.Args.Version
		out.Model = t.keeping.whole(out.Version).content
	}
	if out.To = c.Args.To; len(out.To) > 0 {
		out.Tried, out.Asked = t.wouldHold(out.Version, out.To)
	}
	return out
}

func (t *task) parseCommand(m link.Message) (Command, error) {
	t.audited.signer = ""
	fresh := !t.a.machine.Started() || t.a.nowMS()-t.a.upSince < freshWait.Milliseconds()
	if m.Retained || fresh {
		t.a.conn.Post(link.Message{Topic: m.Topic, QoS: 1, Retained: true}) // clear it
		return Command{}, fmt.Errorf("a command must not be retained, nor come within %s of a connect; send it again", freshWait)
	}
	if len(m.Payload) > maxCommand {
		return Command{}, fmt.Errorf("%d bytes, want at most %d", len(m.Payload), maxCommand)
	}
	doc := m.Payload
	if t.a.cfg.Signer != nil {
		var err error
		if doc, err = record.VerifyCommand(doc, func(kid [8]byte) (ed25519.PublicKey, bool) {
			t.signedBy(kid)
			return t.a.opener.Keys.Operators()(kid)
		}); err != nil {
			return Command{}, fmt.Errorf("this task is signed, a command needs the signature of a listed operator: %w", err)
		}
	}
	c, err := decodeCommand(doc)
	if err != nil {
		return c, err
	}
	if c.Topic != m.Topic && (c.Topic != "" || t.a.cfg.Signer != nil) {
		return c, fmt.Errorf("made for the topic %.300q, arrived on %s: \"topic\" is part of what is signed", c.Topic, m.Topic)
	}
	if c.Origin != t.origin && (!c.Origin.IsZero() || t.a.cfg.Signer != nil) {
		return c, fmt.Errorf("made for the origin %q, this task has another: \"origin\" is part of what is signed, and stands in round", c.Origin)
	}
	if c.Command == round.OpSet {
		if c.Args.set, err = t.settable(c.Args.Settings); err != nil {
			return c, err
		}
	}
	t.commanded(c.ID)
	return c, nil
}

// decodeCommand reads a command and refuses, by its name, what this version does not do.
func decodeCommand(doc []byte) (c Command, err error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, fmt.Errorf("want {\"schema\",\"id\",\"command\",\"at_round\",\"pause\",\"args\",\"timestamp_ms\",\"topic\",\"origin\"}: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || c.Schema != CommandSchema {
		return c, fmt.Errorf("schema %.64q, want %q", c.Schema, CommandSchema)
	}
	if c.ID == "" || len(c.ID) > 64 {
		return c, fmt.Errorf("id of %d bytes, want 1 to 64", len(c.ID))
	}
	switch c.Command {
	case round.OpStart, round.OpPause, round.OpPauseNow, round.OpResume, round.OpStop:
		if c.Args != nil {
			return c, fmt.Errorf("args: %s takes none", c.Command)
		}
		return c, nil
	}
	if c.Command == round.OpRollback && c.Args == nil { // the canary's alone
		return c, nil
	}
	if what, known := takes[c.Command]; known {
		return c, c.Args.check(c.Command, what)
	}
	return c, fmt.Errorf("command %.64q, want start, pause, pause_now, resume, stop, exclude, include, release, rollback or set", c.Command)
}
