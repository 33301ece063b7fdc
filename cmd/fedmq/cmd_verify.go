package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

type verifyCmd struct {
	Dir  string `arg:"" help:"Data directory of an aggregator, or a copy of its records/ and blobs/."`
	Task string `short:"t" placeholder:"NAME" help:"Only this task; default: all in the directory."`
	Keys string `placeholder:"PATH" help:"Public key of the aggregator (Ed25519, PEM), or a directory with *.pub: every record must be signed by one of them."`
	JSON bool   `help:"Print one JSON object."`

	Without string `placeholder:"MEMBER" help:"Make rounds of training again as if this member's update had not been accepted, and say how far the model moves; '*': each member in turn."`
	Round   uint64 `placeholder:"N" help:"With --without: this round alone."`
}

func (verifyCmd) Help() string {
	return `Checks that the records of a task follow each other, are sane and signed, that models
and updates have the bytes that the records name, and makes the models again where the
updates were kept (keep_updates: all), bit by bit. Reads only; the aggregator may run.

  fedmq demo && fedmq verify fedmq-demo/aggregator
  fedmq verify ./aggregator --task quality --keys aggregator.pub
  fedmq verify ./aggregator --without berlin/line-1 --round 7

Exit code 0: no difference; 1: the first difference is named by round, member and tensor.`
}

// errDifference ends a verification that found one.
var errDifference = errors.New("not as the records say")

// report is the command's JSON object.
type report struct {
	OK    bool          `json:"ok"`
	Dir   string        `json:"dir"`
	Tasks []*taskReport `json:"tasks"`
	Notes []string      `json:"notes,omitempty"` // what was not checked, and why
}

// taskReport is what was found of one task, up to the first difference.
type taskReport struct {
	Task       string             `json:"task"`
	Owner      string             `json:"owner"`
	Rounds     int                `json:"rounds"`    // with a record, the genesis included
	Committed  int                `json:"committed"` // records by verdict
	Abandoned  int                `json:"abandoned"`
	Adopted    int                `json:"adopted"`
	Replayed   int                `json:"replayed"`   // models made again, bit by bit
	Hashed     int                `json:"by_hash"`    // models whose bytes are there, but not the updates
	Chained    int                `json:"by_chain"`   // of models that were not kept either
	Signatures string             `json:"signatures"` // verified, not checked, or none
	Tip        model.Hash         `json:"tip"`        // hash of the last record
	Difference *replay.Difference `json:"difference,omitempty"`
	Without    []withoutReport    `json:"without,omitempty"` // rounds as --without asks for them

	last uint64 // round of the last record
}

func (c *verifyCmd) Run(ctx context.Context) error {
	out, err := c.verify(ctx)
	if err != nil {
		return err
	}
	for _, n := range out.Notes {
		fmt.Fprintln(os.Stderr, "note:", n)
	}
	if c.JSON {
		err = json.NewEncoder(stdout).Encode(out)
	} else {
		err = out.print(stdout)
	}
	if err := errors.Join(err, out.err()); err != nil {
		return err
	}
	return c.asked(out)
}

// verify checks the tasks one after the other, each up to its first difference.
func (c *verifyCmd) verify(ctx context.Context) (report, error) {
	out := report{OK: true, Dir: c.Dir}
	keys, err := c.keys()
	if err != nil {
		return out, usageError{err}
	}
	v := &verifier{dir: c.Dir, keys: keys, without: c.leaveOut()}
	tasks, err := v.open(c.Task)
	if err != nil {
		return out, err
	}
	for _, name := range tasks {
		t, err := v.task(ctx, name)
		if err != nil {
			return out, fmt.Errorf("task %s: %w", name, err)
		}
		out.Tasks = append(out.Tasks, t)
		out.OK = out.OK && t.Difference == nil
	}
	out.Notes = v.notes
	return out, nil
}

// err names the first difference.
func (r report) err() error {
	for _, t := range r.Tasks {
		if t.Difference != nil {
			return fmt.Errorf("task %s is %w: %w", t.Task, errDifference, t.Difference)
		}
	}
	return nil
}

// keys reads the public keys, nil without any.
func (c *verifyCmd) keys() (record.Keys, error) {
	list, err := publicKeys(c.Keys)
	if len(list) == 0 {
		return nil, err
	}
	return record.KeysOf(list...), nil
}
