package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

type modelCmd struct {
	Get  modelGetCmd  `cmd:"" help:"Write a model of a task to a safetensors file."`
	Show modelShowCmd `cmd:"" help:"Show the tensors of a file, or of a task's model on the broker."`
	Put  modelPutCmd  `cmd:"" help:"Publish a safetensors file as a task's retained model."`

	Export modelExportCmd `cmd:"" help:"Write a model as an ONNX file that takes rows as they are."`
}

// taskFlags name a task and who may speak for it.
type taskFlags struct {
	Namespace string `short:"n" placeholder:"PREFIX" help:"Enterprise prefix of the UNS."`
	Task      string `short:"t" placeholder:"NAME" help:"Name of the task."`
	Owner     string `placeholder:"PATH" help:"Node that owns the task, below the namespace; empty for the namespace itself."`
	Bulk      string `placeholder:"TOPIC" help:"Root of models beside the namespace, if the aggregator has one (bulk); model_at of the task says where the model is."`
}

// topics builds the task's topics; errors are of usage.
func (f taskFlags) topics() (topics.Namespace, topics.Owner, error) {
	if f.Namespace == "" || f.Task == "" {
		return topics.Namespace{}, topics.Owner{}, usageError{errors.New("want --namespace and --task")}
	}
	ns, err := topics.Configured(f.Namespace, f.Bulk)
	if err != nil {
		return ns, topics.Owner{}, usageError{err}
	}
	o, err := ns.Owner(f.Owner, f.Task)
	if err == nil {
		o, err = o.Below(f.Bulk)
	}
	if err != nil {
		return ns, o, usageError{err}
	}
	return ns, o, nil
}

// opener believes what the listed keys of the owner sign; without keys, what
// stands on the topic.
func (f taskFlags) opener(ns topics.Namespace, path string) (*wire.Opener, error) {
	o := &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	keys, err := publicKeys(path)
	if err != nil || len(keys) == 0 {
		return o, err
	}
	var list []wire.Key
	for _, pub := range keys {
		list = append(list, wire.Key{Path: f.Owner, Role: topics.RoleAggregator, Public: pub})
	}
	o.Keys, err = wire.NewKeys(list...)
	return o, err
}

// readFlags are how a model is read from the broker.
type readFlags struct {
	clientFlags
	taskFlags
	Released bool `help:"The version that is released for use, instead of the newest one."`

	Keys    string        `placeholder:"PATH" help:"Public key of the aggregator (Ed25519, PEM), or a directory with *.pub: what none of them signed is refused."`
	Timeout time.Duration `default:"30s" help:"Give up when nothing has come for so long."`

	path string // of the node that it is for; "": none
}

// follow connects, and hands what follows the model to fn.
func (f readFlags) follow(ctx context.Context, log zerolog.Logger, fn func(*follower) error) error {
	ns, o, err := f.topics()
	if err != nil {
		return err
	}
	if f.Timeout <= 0 {
		return usageError{fmt.Errorf("--timeout: %s, want a time to wait", f.Timeout)}
	}
	if f.Released {
		o = o.Released()
	}
	opener, err := f.opener(ns, f.Keys)
	if err != nil {
		return usageError{err}
	}
	var filters []link.Filter
	if f.path != "" { // first, as it counts before what is released
		filters = append(filters, link.Filter{Topic: o.Canary().Model(), QoS: 1})
	}
	cl, err := f.connect(ctx, log, "model", append(filters, link.Filter{Topic: o.Model(), QoS: 1})...)
	if err != nil {
		return err
	}
	fl := &follower{follow.New(follow.At{Conn: cl.conn, NS: ns, Owner: o}, opener, uint64(maxModelFile)), progressOf(os.Stderr)}
	if f.path != "" {
		fl.For(f.path)
	}
	fl.Progress = func(version uint64, have, count int) {
		fl.live.show("version %d: %d of %d parts", version, have, count)
	}
	return errors.Join(fn(fl), cl.stop())
}

// follower follows a model before the eyes of a person.
type follower struct {
	*follow.Follower
	live liveLine
}

func (f *follower) next(ctx context.Context, patience time.Duration) (*follow.Model, error) {
	defer f.live.end()
	return f.Next(ctx, patience)
}

// save writes a model as a safetensors file.
func (a about) save(m *model.Model, epoch uint64, contract []byte, path string) error {
	meta, err := a.metadata(epoch, contract)
	if err != nil {
		return err
	}
	return writeOutput(path, 0o600, false, func(w io.Writer) error { return m.WriteSafetensors(w, meta) })
}
