package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/metrics"
	"github.com/fedmq/fedmq/topics"
)

// auditLog is the audit log that a configuration file asks for.
type auditLog struct {
	file            string // relative to the configuration; "" is none
	config          string
	namespace, path string // of whose log it is
	log             zerolog.Logger
}

// serve runs a party with its audit log and its numbers, until ctx ends. Without a
// log write is nil.
func (a auditLog) serve(ctx context.Context, http string, numbers metrics.Source, run func(ctx context.Context, write func(audit.Entry)) error) error {
	return a.with(ctx, func(ctx context.Context, l *audit.Log) error {
		var write func(audit.Entry)
		if l != nil {
			write = l.Write
		}
		return withHTTP(ctx, http, a.log, metrics.WithAudit(numbers, l), func(ctx context.Context) error { return run(ctx, write) })
	})
}

// with runs a process between its lines of start and stop. The log outlives what
// writes to it. Without a file the log is nil.
func (a auditLog) with(ctx context.Context, run func(context.Context, *audit.Log) error) error {
	if a.file == "" {
		return run(ctx, nil)
	}
	config, err := os.ReadFile(a.config)
	if err != nil {
		return err
	}
	ns, err := topics.New(a.namespace)
	if err != nil {
		return err
	}
	l, err := audit.Open(at(filepath.Dir(a.config), a.file), ns.Node(a.path), a.trouble)
	if err != nil {
		return err
	}
	writing, end := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan error, 1)
	go func() { written <- l.Run(writing) }()
	defer onHangup(writing, l.Reopen)()
	defer end()
	sum := sha256.Sum256(config)
	l.Write(audit.Entry{Event: audit.Start, Program: "fedmq " + version, Config: a.config, SHA256: hex.EncodeToString(sum[:])})
	err = run(ctx, l)
	stop := audit.Entry{Event: audit.Stop, Outcome: "ok"}
	if err != nil {
		stop.Outcome = err.Error()
	}
	l.Write(stop)
	end()
	return errors.Join(err, <-written)
}

// trouble tells when lines cannot be written, and when they can be again.
func (a auditLog) trouble(err error) {
	if err != nil {
		a.log.Error().Err(err).Msg("audit log; the lines wait in memory, up to 16384, and the process goes on")
		return
	}
	a.log.Info().Msg("the audit log is written again")
}
