package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

type baselineCmd struct {
	Dir     string   `arg:"" optional:"" help:"Folder as fedmq up runs it, with sites whose data are on this machine."`
	Example string   `enum:",turbofan,wells,tep,gasturbine" default:"" placeholder:"NAME" help:"Lay the example turbofan, wells, tep or gasturbine out in the folder first; default folder: fedmq-NAME."`
	Task    string   `short:"t" placeholder:"NAME" help:"This task, where the folder has several."`
	Folds   int      `placeholder:"K" help:"Deal the rows of each site into K folds and train once for each, on the others."`
	Group   []string `sep:"," placeholder:"COLUMNS" help:"With --folds: rows with the same values here belong together, such as those of one recording, and are in one fold."`
	Seeds   int      `default:"1" placeholder:"N" help:"Train with N seeds: that of the configuration and those after it."`
	Leave   bool     `name:"leave-site-out" help:"Train without one site and judge on it, for each site."`
	Set     []string `sep:"none" placeholder:"KEY=VALUES" help:"Values of a key of the task, with commas between: train.lr=.01,.03. Given again, all combinations are tried."`
	Central string   `placeholder:"FILE" type:"existingfile" help:"Configuration of a site that has the rows of all, for trainers that are programs."`
	Metric  string   `placeholder:"NAME" help:"What is shown; default: that which the task shows first (metric)."`
	JSON    bool     `help:"Print one JSON object, with all metrics of all trainings."`
	Out     string   `short:"o" placeholder:"FILE" help:"Picture to write (.png, .svg, .pdf); default: baseline.png in the folder."`
}

func (baselineCmd) Help() string {
	return `Is the federation worth it? The same model, trained by the same code, with the same settings
and seeds in as many rounds: on each site alone, federated, and on all rows in one place.
Every model is judged on the test rows of all sites. Alone and in one place there is one site, and
strategy and server have nothing to choose: they are fedavg and sgd there.

  fedmq baseline DIR                                   one table, one picture
  fedmq baseline DIR --folds 5 --seeds 3               mean and spread
  fedmq baseline DIR --leave-site-out                  does it hold at a site that took no part?
  fedmq baseline DIR --set train.lr=.01,.03 --set rounds=10,20
  fedmq baseline DIR --set strategy=fedavg,fedprox,median   which strategy for these sites?
  fedmq baseline --example wells

Nothing listens and nothing is sent: rounds run in this process, with the arithmetic
of fedmq up, and end in the same bits. Every training that is done is kept in
DIR/.fedmq-baseline; the same command again goes on where it was interrupted.`
}

func (c *baselineCmd) Run(ctx context.Context, logs *logFlags) (err error) {
	if err := c.prepare(); err != nil {
		return usageError{err}
	}
	b := &baseline{baselineCmd: *c, up: up{dir: c.Dir, logs: logs, log: logs.quiet()}}
	defer func() { err = errors.Join(err, b.crew.close()) }()
	if err := b.read(ctx); err != nil {
		return err
	}
	if err := b.plan(); err != nil {
		return usageError{err}
	}
	done, err := b.train(ctx)
	if err != nil {
		return err
	}
	return b.show(done)
}

// prepare checks the flags, and lays an example out.
func (c *baselineCmd) prepare() error {
	switch {
	case c.Dir == "" && c.Example == "":
		return errors.New("want a folder, or --example")
	case c.Folds != 0 && c.Leave:
		return errors.New("want one of --folds and --leave-site-out")
	case c.Folds == 1 || c.Folds < 0:
		return fmt.Errorf("--folds: %d, want 2 or more", c.Folds)
	case c.Seeds < 1:
		return fmt.Errorf("--seeds: %d, want 1 or more", c.Seeds)
	case len(c.Group) > 0 && c.Folds == 0:
		return errors.New("--group: wants --folds")
	case c.Out != "":
		if err := drawable(c.Out); err != nil { // before hours of training
			return err
		}
	}
	if c.Example == "" {
		return nil
	}
	if c.Dir == "" {
		c.Dir = "fedmq-" + c.Example
	}
	d := &demo{demoCmd: demoCmd{Dir: c.Dir, Seed: 1}, ex: examples(c.Example)}
	if !absent(filepath.Join(c.Dir, aggregatorName)) {
		return d.isLaidOut(c.Example)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	return d.layOut(exampleBroker)
}
