package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/rs/zerolog"
	"golang.org/x/term"
)

type watchCmd struct {
	watchFlags
	SignKey string `type:"existingfile" placeholder:"FILE" help:"Operator's private key (Ed25519, PEM), to pause and resume a signed task."`
}

func (watchCmd) Help() string {
	return `On a terminal it shows rounds, sites with what they do and why they are late, and curves of
the metric. In a pipe it prints one line for each fact, until the pipe ends.

Keys: q quits, arrows and page keys scroll, tab shows the next task, / filters the sites,
p pauses and r resumes the task, once y has confirmed it.

  fedmq watch -c aggregator.yaml
  fedmq watch -b tcp://127.0.0.1:1883 -n acme | grep ' late '`
}

func (c *watchCmd) Run(ctx context.Context, logs *logFlags) error {
	screen := term.IsTerminal(int(os.Stdout.Fd())) && term.IsTerminal(int(os.Stdin.Fd()))
	if c.SignKey != "" && !screen {
		return usageError{errors.New("--sign-key has no effect but on a terminal, where keys pause and resume the task: leave it out; fedmq send gives commands from a script")}
	}
	log := logs.quiet()
	if screen {
		log = zerolog.Nop() // the link's state is on the screen
	}
	changed, mark := onePending()
	w, err := c.open(log, "watch", mark)
	if err != nil {
		return err
	}
	return w.run(ctx, func(ctx context.Context) error {
		if screen {
			return c.screen(ctx, w)
		}
		return followLines(ctx, w, changed, stdout)
	})
}

// followLines prints what has changed after each tick, and at the end.
func followLines(ctx context.Context, w *watching, changed <-chan struct{}, out io.Writer) error {
	l := newLines()
	for {
		select {
		case <-ctx.Done():
			return l.print(out, w)
		case <-changed:
			if err := l.print(out, w); err != nil {
				return err
			}
		}
	}
}

func (l *lines) print(out io.Writer, w *watching) error {
	now := time.Now()
	var said []string
	if v, ok := w.fed.Since(l.seq); ok {
		said = l.take(v, now)
	}
	for _, line := range append(said, l.stands(now)...) {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// screen runs the terminal view until q or the end of ctx.
func (c *watchCmd) screen(ctx context.Context, w *watching) error {
	m := newScreen(w.fed.Since, func(task, op string) (string, error) {
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return w.command(wait, task, op, c.SignKey)
	})
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler()).Run()
	if ctx.Err() != nil && (errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, tea.ErrInterrupted)) {
		return nil
	}
	return err
}
