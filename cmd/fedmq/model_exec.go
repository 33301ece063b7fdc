package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/fedmq/fedmq/internal/group"
	"github.com/fedmq/fedmq/wire"
)

// execStops is how long a command has to end once it is told to, with all that it has
// started: SIGTERM, then SIGKILL.
const execStops = 10 * time.Second

// exec runs the command of --exec for a version that was written.
func (c *modelGetCmd) exec(ctx context.Context, h wire.Header) error {
	if c.Exec == "" {
		return nil
	}
	shell := []string{"sh", "-c"}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C"}
	}
	limited := ctx
	if c.ExecTimeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, c.ExecTimeout)
		defer cancel()
	}
	cmd := exec.CommandContext(limited, shell[0], shell[1], c.Exec)
	group.Apart(cmd)
	cmd.Cancel = func() error { return group.Terminate(cmd.Process.Pid) }
	cmd.WaitDelay = execStops
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // the lines of standard output are ours
	cmd.Env = append(os.Environ(), "FEDMQ_FILE="+c.Output, "FEDMQ_TASK="+h.Task,
		"FEDMQ_VERSION="+strconv.FormatUint(h.Round, 10), "FEDMQ_CONTENT="+h.Base.String(), "FEDMQ_PATH="+c.Path, "FEDMQ_FROM="+h.Kind)
	err := cmd.Run()
	if limited.Err() != nil && cmd.Process != nil { // what it has started in the background and done well stays
		group.Sweep(cmd.Process.Pid)
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case limited.Err() != nil:
		return fmt.Errorf("--exec for version %d: not done after %s (--exec-timeout): %w", h.Round, c.ExecTimeout, err)
	}
	return fmt.Errorf("--exec for version %d: %w", h.Round, err)
}
