package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// party is a command of this program that runs as a process of its own.
type party struct {
	name string // of its log
	args []string
}

// asProcesses runs the aggregator of a folder and its sites until the tasks
// have ended, and last has, each with its log in the folder, the aggregator with more arguments.
// A site that fails ends all, as it does in one process; one that somebody kills
// does not.
func asProcesses(ctx context.Context, dir string, more []string, sites []party, last func(context.Context) error) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var all []*running
	failed := make(chan *running, len(sites))
	for _, p := range sites {
		r, err := p.spawn(self, dir)
		if err != nil {
			return errors.Join(err, stopAll(all))
		}
		all = append(all, r)
		go func() {
			<-r.ended
			if exit, ok := errors.AsType[*exec.ExitError](r.err); ok && exit.ExitCode() > 0 {
				failed <- r
			}
		}()
	}
	p := party{name: "aggregator", args: append([]string{"aggregator", "--until-done", "-c", filepath.Join(dir, aggregatorName)}, more...)}
	aggregator, err := p.spawn(self, dir)
	if err != nil {
		return errors.Join(err, stopAll(all))
	}
	select {
	case <-ctx.Done():
	case <-failed: // stopping it says why
	case <-aggregator.ended:
		if aggregator.err == nil {
			err = untilFailed(ctx, failed, last)
		}
	}
	return errors.Join(ctx.Err(), err, aggregator.stop(), stopAll(all))
}

// untilFailed runs last until a party fails, of which stopping it says why.
func untilFailed(ctx context.Context, failed <-chan *running, last func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- last(ctx) }()
	select {
	case err := <-done:
		return err
	case <-failed:
		cancel()
		<-done
		return nil
	}
}

func stopAll(all []*running) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, r := range all {
		wg.Go(func() { errs[i] = r.stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stopWait is how long a process has after SIGTERM.
const stopWait = 10 * time.Second

// running is a party's process.
type running struct {
	name, log string
	process   *os.Process
	ended     chan struct{}
	err       error // how, once it has ended
}

// spawn starts a process.
func (p party) spawn(self, dir string) (*running, error) {
	path := filepath.Join(dir, p.name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), starterVar+"=stdin")
	if _, err := cmd.StdinPipe(); err != nil { // open until Wait, or this process, ends
		return nil, errors.Join(err, log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	r := &running{name: p.name, log: path, process: cmd.Process, ended: make(chan struct{})}
	go func() {
		r.err = errors.Join(cmd.Wait(), log.Close())
		close(r.ended)
	}()
	return r, nil
}

// stop asks a process to end, waits, and says how it ended. Where there is no
// asking it is killed: on Windows.
func (r *running) stop() error {
	err := r.process.Signal(syscall.SIGTERM)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		if err := r.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		<-r.ended
		return nil
	}
	select {
	case <-r.ended:
	case <-time.After(stopWait):
		err := r.process.Kill()
		return errors.Join(fmt.Errorf("%s did not end within %s", r.name, stopWait), err)
	}
	if err != nil && r.err != nil { // it had ended by itself
		return r.failure()
	}
	return r.failed()
}

// failed is the error of a process that has ended, nil if it did as it was asked.
func (r *running) failed() error {
	if r.err == nil || interrupted(r.err) {
		return nil
	}
	return r.failure()
}

// failure is the error that a process has ended with, in the words and with the
// exit code that it has in one process; where its log is goes before.
func (r *running) failure() error {
	exit, ok := errors.AsType[*exec.ExitError](r.err)
	said, err := lastWords(r.log)
	if !ok || err != nil || said == "" {
		return errors.Join(fmt.Errorf("%s: %w; its log is %s", r.name, r.err, r.log), err)
	}
	fmt.Fprintf(os.Stderr, "The log of %s: %s\n", r.name, r.log)
	dir := filepath.Dir(r.log)
	if whole, err := filepath.Abs(dir); err == nil { // as the folder was named
		said = strings.ReplaceAll(said, whole+string(filepath.Separator), dir+string(filepath.Separator))
	}
	switch rest, below := strings.CutPrefix(said, errBelowQuorum.Error()); {
	case exit.ExitCode() == exitBelowQuorum && below:
		return fmt.Errorf("%w%s", errBelowQuorum, rest)
	case exit.ExitCode() == exitUsage:
		return usageError{fmt.Errorf("%s: %s", r.name, said)}
	}
	return fmt.Errorf("%s: %s", r.name, said)
}

// maxWords bounds the end of a log that is searched for them.
const maxWords = 64 << 10

// lastWords is the error that a command of this program has ended with: what
// follows the last "fedmq: " at the beginning of a line of its log.
func lastWords(log string) (string, error) {
	f, err := os.Open(log)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	b := make([]byte, min(info.Size(), maxWords))
	if _, err := f.ReadAt(b, info.Size()-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	const said = "\nfedmq: "
	text := "\n" + string(b)
	if i := strings.LastIndex(text, said); i >= 0 {
		return strings.TrimSpace(text[i+len(said):]), nil
	}
	return "", nil
}

// interrupted reports that a process ended before its work because of SIGTERM, or of
// a terminal's SIGINT, by itself or before it had a handler.
func interrupted(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return exit.ExitCode() == exitInterrupted || ok && status.Signaled() && (status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT)
}
