package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/fedmq/fedmq/wire"
)

// execStops is how long a command has to end once it is told to.
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
	cmd := exec.CommandContext(ctx, shell[0], shell[1], c.Exec)
	if runtime.GOOS != "windows" { // where nothing but killing is known
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	}
	cmd.WaitDelay = execStops
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // the lines of standard output are ours
	cmd.Env = append(os.Environ(), "FEDMQ_FILE="+c.Output, "FEDMQ_TASK="+h.Task,
		"FEDMQ_VERSION="+strconv.FormatUint(h.Round, 10), "FEDMQ_CONTENT="+h.Base.String(), "FEDMQ_PATH="+c.Path, "FEDMQ_FROM="+h.Kind)
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("--exec for version %d: %w", h.Round, err)
	}
	return nil
}
