package main

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/metrics"
)

// httpFlag is the address of a process's numbers.
type httpFlag struct {
	HTTP string `name:"http" placeholder:"ADDR" help:"Address of /metrics, /healthz and /readyz, such as 127.0.0.1:9470. Who reaches it reads them."`
}

// or returns the flag's address, else that of the configuration file.
func (f httpFlag) or(file string) string {
	if f.HTTP != "" {
		return f.HTTP
	}
	return file
}

// withHTTP runs a process, and beside it the server of its numbers; "" is none.
// If the server fails the process ends too: who watches would take it for dead.
func withHTTP(ctx context.Context, addr string, log zerolog.Logger, s metrics.Source, run func(context.Context) error) error {
	if addr == "" {
		return run(ctx)
	}
	l, err := metrics.Listen(addr)
	if err != nil {
		return err
	}
	log.Info().Str("address", l.Addr().String()).Msg("metrics served")
	if !loopback(addr) {
		log.Warn().Str("address", addr).Msg("metrics are open to everybody who can reach this address: they name tasks, rounds and filters")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- metrics.Serve(ctx, l, s)
	}()
	err = run(ctx)
	cancel()
	return errors.Join(err, <-served)
}
