package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// services run until they are ended. One that nobody sits before goes on when
// it is told that a terminal hung up: that is how logrotate says that it has
// renamed a file.
var services = []string{"aggregator", "site", "broker", "dashboard"}

// listen returns a context that ends with SIGINT and SIGTERM, and with SIGHUP unless
// the command goes on.
func listen(command string) (ctx context.Context, goesOn bool, stop func()) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	goesOn = slices.Contains(services, command) && !term.IsTerminal(int(os.Stdin.Fd()))
	if !goesOn {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop = signal.NotifyContext(context.Background(), ends...)
	if os.Getenv(starterVar) != "" {
		ctx = withStarter(ctx)
	}
	return ctx, goesOn, stop
}

// starterVar is in the environment of a process whose standard input ends when who has
// started it does, in whatever way.
const starterVar = "FEDMQ_STARTER"

var errOrphan = errors.New("the process that has started this one has ended")

// withStarter ends the context with standard input.
func withStarter(ctx context.Context) context.Context {
	_ = os.Unsetenv(starterVar) // a trainer's own input is another
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // until the process ends: nothing ends a read of a pipe before
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errOrphan)
	}()
	return ctx
}

// onHangup calls f for every SIGHUP from now on until ctx ends; wait returns when
// that is over.
func onHangup(ctx context.Context, f func()) (wait func()) {
	hung := make(chan os.Signal, 1)
	signal.Notify(hung, syscall.SIGHUP)
	var goes sync.WaitGroup
	goes.Go(func() {
		defer signal.Stop(hung)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hung:
				f()
			}
		}
	})
	return goes.Wait
}

// lastLine says which signal ended a service.
func lastLine(ctx context.Context, command string, log zerolog.Logger) {
	if slices.Contains(services, command) && ctx.Err() != nil {
		log.Info().AnErr("cause", context.Cause(ctx)).Msg(command + " ended")
	}
}
