package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
// have ended, each with its log in the folder.
func asProcesses(ctx context.Context, dir string, sites []party) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var stops []func() error
	for _, p := range sites {
		stop, _, err := p.spawn(self, dir)
		if err != nil {
			return errors.Join(err, stopAll(stops))
		}
		stops = append(stops, stop)
	}
	aggregator := party{name: "aggregator", args: []string{"aggregator", "--until-done", "-c", filepath.Join(dir, aggregatorName)}}
	stop, done, err := aggregator.spawn(self, dir)
	if err != nil {
		return errors.Join(err, stopAll(stops))
	}
	select {
	case <-ctx.Done():
		return errors.Join(stop(), stopAll(stops))
	case err = <-done:
	}
	if err != nil {
		err = fmt.Errorf("aggregator: %w; its log is %s", err, filepath.Join(dir, "aggregator.log"))
	}
	return errors.Join(err, stopAll(stops))
}

func stopAll(stops []func() error) error {
	errs := make([]error, len(stops))
	var wg sync.WaitGroup
	for i, stop := range stops {
		wg.Go(func() { errs[i] = stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stopWait is how long a process has after SIGTERM.
const stopWait = 10 * time.Second

// spawn starts a process; stop asks it to end and waits, done gets how it
// ended by itself.
func (p party) spawn(self, dir string) (stop func() error, done <-chan error, err error) {
	path := filepath.Join(dir, p.name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // #nosec G304 -- in the folder that was named
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, p.args...) // #nosec G204 -- this program
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(cmd.Wait(), log.Close()) }()
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%s: %w; its log is %s", p.name, err, path)
			}
			return nil
		case <-time.After(stopWait):
			return errors.Join(fmt.Errorf("%s did not end within %s", p.name, stopWait), cmd.Process.Kill())
		}
	}, ended, nil
}
