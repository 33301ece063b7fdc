package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// Folding is a strategy with its parameters.
type Folding struct {
	text   string
	name   string
	params strategy.Settings
}

// ParseFolding reads NAME or NAME,key=value,...
func ParseFolding(text string) (f Folding, err error) {
	words := strings.Split(text, ",")
	f = Folding{text: text, name: words[0], params: strategy.Settings{}}
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return f, fmt.Errorf("%q: want NAME, or NAME with ,key=value as often as needed", text)
		}
		f.params[key] = value
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			f.params[key] = x
		}
	}
	_, err = strategy.Registry{}.Settings(f.name, f.params)
	return f, err
}

// String is as it was given; none is FedAvg.
func (f Folding) String() string { return cmp.Or(f.text, strategy.FedAvg) }

// sums reports whether it is the mean, which has a check of its own.
func (f Folding) sums() bool { return cmp.Or(f.name, strategy.FedAvg) == strategy.FedAvg }

// check refuses what a bench round cannot do with so many sites: its trainer adds numbers
// and knows no loss and no steps, and every round counts every site.
func (f Folding) check(sites int) error {
	setup := strategy.Setup{Work: strategy.Train, Strategy: f.name, Params: f.params}
	local, err := strategy.Registry{}.Local(setup)
	if err != nil {
		return err
	}
	late, err := strategy.Registry{}.Late(setup)
	if err != nil {
		return err
	}
	rooted, err := strategy.Registry{}.Rooted(setup)
	if err != nil {
		return err
	}
	least, err := strategy.Registry{}.MinimumOf(f.name, f.params)
	switch {
	case err != nil:
		return err
	case len(local.Needs) > 0:
		return fmt.Errorf("%s wants %s of its sites, whose trainer here adds numbers alone; want %s or a selective one", f, strings.Join(local.Needs, ", "), strategy.FedAvg)
	case late.Most > 0 || late.Buffer > 0:
		return fmt.Errorf("%s is asynchronous, and every round here waits for every site; want %s or a selective one", f, strategy.FedAvg)
	case rooted:
		return fmt.Errorf("%s wants rows of the aggregator's own; want %s or a selective one", f, strategy.FedAvg)
	case sites < least:
		return fmt.Errorf("%s takes %d updates or more, --sites are %d", f, least, sites)
	}
	return nil
}

// spool writes an update of each member to a file, as an aggregator keeps those that it
// reads at the end of a round.
func spool(ctx context.Context, dir string, base *model.Model, series series, members int) (all *strategy.Updates, end func() error, err error) {
	if dir, err = os.MkdirTemp(dir, "fedmq-bench-"); err != nil {
		return nil, nil, err
	}
	files, made := make([]*os.File, members), base.Clone()
	end = func() error {
		var errs []error
		for _, f := range files {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
		return errors.Join(append(errs, os.RemoveAll(dir))...)
	}
	all = &strategy.Updates{Schema: base.Schema, ReadAt: func(p []byte, i, off int) error {
		_, err := files[i].ReadAt(p, int64(off))
		return err
	}}
	for i := range files {
		if ctx.Err() != nil {
			return nil, end, context.Canceled
		}
		series.train(made.Blob, base.Blob, i, 1)
		if files[i], err = os.Create(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return nil, end, err
		}
		if _, err = files[i].Write(made.Blob); err != nil {
			return nil, end, err
		}
		n := uint64(series.samples(i)) // 1 or 2
		all.List = append(all.List, strategy.Update{Samples: n, Weight: n})
	}
	return all, end, nil
}

// selective times the results of strategies that read all updates at the end.
func (k *Kernels) selective(ctx context.Context, dir string, base *model.Model, series series, members int, list []Folding) (err error) {
	if len(list) == 0 {
		return nil
	}
	all, end, err := spool(ctx, dir, base, series, members)
	if end != nil {
		defer func() { err = errors.Join(err, end()) }()
	}
	if err != nil {
		return err
	}
	for _, f := range list {
		a, err := strategy.Registry{}.Begin(strategy.Setup{
			Work: strategy.Train, Strategy: f.name, Params: f.params, Round: strategy.Round{Base: base, GridB: 6, GridW: 20},
		}, nil)
		if err != nil {
			return err
		}
		if !a.NeedsAll() {
			return fmt.Errorf("--strategy %s: its updates are folded as they come, which is timed as check and add; want one that reads all at the end", f.name)
		}
		if err := k.time(ctx, f.text, len(base.Blob)*members, func() error { _, err := a.Result(all, nil); return err }); err != nil {
			return err
		}
	}
	return nil
}
