package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

type modelGetCmd struct {
	readFlags
	Output string `short:"o" placeholder:"FILE" help:"File to write, replaced as a whole; a pipe or a device is written to, - is standard output. Default: <task>.safetensors."`
	Follow bool   `short:"f" help:"Go on: replace the file with every new version, until SIGTERM."`

	Exec        string        `placeholder:"COMMAND" help:"Run this by the shell after each version that was written: FEDMQ_FILE, FEDMQ_TASK, FEDMQ_VERSION and FEDMQ_CONTENT say which. The next one waits for its end."`
	ExecTimeout time.Duration `default:"10m" placeholder:"TIME" help:"How long the command of --exec may take; then it is ended, with what it has started, and has failed. 0: as long as it likes."`

	Path string `placeholder:"PATH" help:"Path of this node below the namespace: take the canary if it is meant for it, else what is released. With --follow it says on its status which version it runs, puts the file back where the command fails, and tries again."`

	Dir   string  `placeholder:"DIR" help:"Read the data directory of an aggregator that does not run, or the folder of fedmq up, instead of a broker: the best version."`
	Round *uint64 `placeholder:"N" help:"With --dir: the version that this round has made."`
	Own   string  `placeholder:"DIR" help:"Data directory of a site that does not run: the model that it has trained for itself from this version (personalise), where that is better there; or the tensors that it keeps for itself (strategy.keep_local, share) take their places in the model; with --dir in the last version, as they are from then."`
}

func (modelGetCmd) Help() string {
	return `Reads what is retained, inline or in parts, so neither aggregator nor sites need to run.
It is the newest version or, with --released, the one that the task has released for use: at its
end the best one. Prints one line for each version that was written. Version, epoch and content
id are in the file's metadata; tensors have the names of the model.

With --dir it reads the versions on an aggregator's disk, and says which ones are kept there;
these files say metrics and threshold, too.

With --path and --follow this is a consumer, a node of the Unified Namespace: it says on
<namespace>/<path>/_fl_v1/<task>/status which version it runs, or which it could not take and why.
Where the command fails the file is the one before again, and the version is tried anew after 10 s,
and then less and less often, up to every 10 minutes. After a restart the version of the file is what
runs: the command is not run again for it. The user needs the access of the role consumer.

Where tensors stay at the sites (strategy.keep_local, share) the versions have the values that
the task began with in their places, and predict refuses them. --own makes the model of one site.
Where sites train what is released for themselves (personalise), --own gets the model that a site uses.

  fedmq model get -b tcp://broker:1883 -n acme -t quality -o quality.safetensors
  fedmq model get -n acme -t quality --keys aggregator.pub --follow
  fedmq model get -n acme -t quality --released --follow --exec 'systemctl restart scoring'
  fedmq model get -n acme -t quality --path berlin/line-1/scoring --follow --exec 'systemctl reload scoring'
  fedmq model get --dir line -t result --round 12
  fedmq model get --dir line -t result --own line/state/lyon -o lyon.safetensors
  fedmq model get -n acme -t quality --released --own /var/lib/fedmq -o lyon.safetensors`
}

func (c *modelGetCmd) Run(ctx context.Context, logs *logFlags) error {
	if c.ExecTimeout < 0 {
		return usageError{fmt.Errorf("--exec-timeout: %s, want a time, or 0 for none", c.ExecTimeout)}
	}
	c.Output = cmp.Or(c.Output, c.Task+".safetensors")
	if c.Dir != "" {
		if c.Task == "" {
			return usageError{errors.New("--dir wants --task")}
		}
		return c.fromDir()
	}
	if c.Path != "" {
		if err := topics.CheckPath(c.Path); err != nil {
			return usageError{fmt.Errorf("--path: %w", err)}
		}
		if c.Released = true; c.Follow {
			return c.consume(ctx, logs.quiet())
		}
	}
	c.path = c.Path
	return c.follow(ctx, logs.quiet(), func(f *follower) error { return c.get(ctx, f) })
}

func (c *modelGetCmd) get(ctx context.Context, f *follower) error {
	if c.Follow { // what is refused is told, and the next awaited
		f.Complain = func(err error) error { fmt.Fprintln(os.Stderr, "fedmq:", err); return nil }
	}
	patience := c.Timeout
	for {
		got, err := f.next(ctx, patience)
		switch {
		case ctx.Err() != nil && c.Follow:
			return nil
		case err != nil:
			return err
		}
		if err := c.write(aboutOf(got), got.Model, got.Header.Epoch, got.Contract); err != nil {
			return err
		}
		if err := c.exec(ctx, got.Header); !c.Follow || err != nil && f.Complain(err) != nil {
			return err
		}
		patience = 0
	}
}

// write writes a version, with the tensors of one site where they are asked for, and says
// which one it is.
func (c *modelGetCmd) write(a about, m *model.Model, epoch uint64, contract []byte) error {
	if err := a.settle(m, c.Own); err != nil {
		return err
	}
	if err := a.save(m, epoch, contract, c.Output); err != nil {
		return err
	}
	told := beside(c.Output)
	fmt.Fprintf(told, "version %d, %d bytes, content %s: %s\n", a.Version, len(m.Blob), a.Content, c.Output)
	if text := a.locals(); text != "" {
		fmt.Fprintln(told, text)
	}
	return nil
}
