package main

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// watchFlags are how a command says what it watches.
type watchFlags struct {
	clientFlags
	Config        string   `short:"c" type:"existingfile" placeholder:"FILE" help:"Take broker, user, certificates, namespace, owner and members from an aggregator's configuration; flags have the last word."`
	Namespace     string   `short:"n" default:"acme" help:"Enterprise prefix of the UNS."`
	Owner         string   `placeholder:"PATH" help:"Node that owns the tasks, below the namespace; empty for the namespace itself."`
	Member        []string `short:"m" placeholder:"FILTER" help:"UNS filter of members below the namespace, such as +/line-1; may be repeated. Default: members at every depth."`
	Consumer      []string `placeholder:"FILTER" help:"Likewise of nodes that use what is released; has an effect with --member, or --config."`
	AggregatorKey string   `type:"existingfile" placeholder:"FILE" help:"Aggregator's public key (Ed25519, PEM): signatures of records are checked."`
}

// watching is a federation with the connection that feeds it.
type watching struct {
	fed  *watch.Federation
	feed *watch.Feed
	conn *link.Conn
}

// onePending returns a channel that holds one mark, and what puts it there without waiting.
func onePending() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	return c, func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// open makes what run will run; changed is called after each tick.
func (f *watchFlags) open(log zerolog.Logger, role string, changed func()) (*watching, error) {
	cfg, err := f.federation()
	if err != nil {
		return nil, usageError{err}
	}
	conn, err := f.link(log, role, link.Config{Queue: watch.MaxMembers, Coalesce: func(topic string, _ []byte) string {
		if strings.HasSuffix(topic, "/event") {
			return "" // each is a fact of its own
		}
		return topic
	}})
	if err != nil {
		return nil, err
	}
	fed := watch.New(cfg)
	return &watching{fed: fed, feed: watch.NewFeed(fed, conn, changed), conn: conn}, nil
}

func (f *watchFlags) federation() (cfg watch.Config, err error) {
	if f.Config != "" {
		var file aggregatorFile
		if err := loadYAML(f.Config, &file); err != nil {
			return cfg, err
		}
		f.takeFrom(file.Connection, filepath.Dir(f.Config))
		f.Namespace, f.Owner = file.Connection.Namespace, file.Owner
		for _, t := range file.Tasks {
			f.Member, f.Consumer = append(f.Member, t.Members...), append(f.Consumer, t.Consumers...)
		}
	}
	if cfg.Namespace, err = topics.New(f.Namespace); err != nil {
		return cfg, err
	}
	if f.Owner != "" {
		if err := topics.CheckPath(f.Owner); err != nil {
			return cfg, err
		}
	}
	cfg.Owner = f.Owner
	if cfg.Members, err = memberFilters(f.Member); err != nil {
		return cfg, err
	}
	if cfg.Consumers, err = memberFilters(f.Consumer); err != nil {
		return cfg, err
	}
	if f.AggregatorKey != "" {
		cfg.Keys, err = keyOf(f.AggregatorKey)
	}
	return cfg, err
}

func keyOf(file string) (record.Keys, error) {
	public, err := wire.LoadPublicKeyPEM(file)
	if err != nil {
		return nil, err
	}
	return record.KeysOf(public), nil
}

// run reads the broker and does what more says until one of them ends.
func (w *watching) run(ctx context.Context, more func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var connErr error
	wg.Go(func() { defer cancel(); connErr = w.conn.Run(ctx) })
	wg.Go(func() { w.feed.Run(ctx) })
	err := more(ctx)
	cancel()
	wg.Wait()
	return errors.Join(err, connErr)
}

// command sends an operator's command at the task's current round, or for its
// pause.
func (w *watching) command(ctx context.Context, task, op, signKey string) (string, error) {
	o, at, err := w.fed.Task(task)
	if err != nil {
		return "", err
	}
	id := rand.Text()
	payload, err := commandPayload(o.Command(), id, op, at, nil, signKey)
	if err != nil {
		return "", err
	}
	return w.feed.Command(ctx, o, id, payload)
}
