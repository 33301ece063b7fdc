package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// median is a strategy of one's own: coordinate by coordinate the median of the
// updates, Yin et al. 2018, https://arxiv.org/abs/1803.01498. One site that is
// far off moves nothing.
type median struct{}

func (median) Name() string { return "acme-median" }

func (median) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	values, err := strategy.NewValues(r)
	return medianFold{values}, err
}

// medianFold has Schema, Check and CheckPart from Values.
type medianFold struct{ *strategy.Values }

func (medianFold) Add(strategy.Update) {}

func (medianFold) NeedsAll() bool { return true }

func (medianFold) Finish(all *strategy.Updates, out *strategy.Output) error {
	if len(all.List) == 0 {
		return strategy.ErrEmpty
	}
	x := make([]float64, len(all.List)) // one coordinate of all updates
	return all.Blocks(func(at int, values [][]float64) error {
		mean := make([]float64, len(values[0]))
		for j := range mean {
			for i := range x {
				x[i] = values[i][j]
			}
			slices.Sort(x)
			mean[j] = (x[(len(x)-1)/2] + x[len(x)/2]) / 2
		}
		out.Mean(at, mean)
		return nil
	})
}

// step is a trainer that always finds the same.
type step float32

func (step) Samples() int { return 100 }

func (s step) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	local := global.Clone()
	w, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range w {
		w[i] += float32(s)
	}
	return local, local.SetFloat32s("w", w)
}

// An aggregator folds with a strategy of this program, and a replay with the
// same one makes every model again from the records.
func Example() {
	own := strategy.Registry{Strategies: []strategy.Strategy{median{}}}
	dir, err := os.MkdirTemp("", "fedmq")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := federate(dir, own); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(check(filepath.Join(dir, "aggregator"), own))
	without, _, _ := strings.Cut(check(filepath.Join(dir, "aggregator"), strategy.Registry{}), ", known")
	fmt.Println(without)
	// Output:
	// two rounds of acme-median: w is 0.5, replayed
	// round 1, attempt 1: strategy: unknown: strategy "acme-median"
}

// federate runs two rounds with three sites, one of which is far off.
func federate(dir string, own strategy.Registry) error {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Open: true})
	if err != nil {
		return err
	}
	parties := []func(context.Context) error{b.Run}
	at := func() string { <-b.Ready(); return "tcp://" + b.Addrs().TCP }
	for name, s := range map[string]step{"berlin": 0.5, "munich": 0.25, "hamburg": -20} {
		parties = append(parties, func(ctx context.Context) error {
			return site.Run(ctx, site.Config{
				Broker: at(), Namespace: "acme", Member: name + "/line-1", DataDir: filepath.Join(dir, name),
				Tasks: []site.Task{{Name: "bearings", Trainer: s}},
			})
		})
	}
	schema, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{3}})
	if err != nil {
		return err
	}
	parties = append(parties, func(ctx context.Context) error {
		return aggregator.Run(ctx, aggregator.Config{
			Broker: at(), Namespace: "acme", DataDir: filepath.Join(dir, "aggregator"), Strategies: own,
			Tasks: []aggregator.Task{{
				Name: "bearings", Members: []string{"+/line-1"}, Rounds: 2, Quorum: 3, Init: model.New(schema),
				Strategy: "acme-median", KeepUpdates: aggregator.KeepAll, // replay needs them
			}},
			OnEnd: func(string, bool, string) { stop() },
		})
	})
	ended := make(chan error)
	for _, run := range parties {
		go func() { ended <- run(ctx) }()
	}
	var errs []error
	for range parties {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// check replays the task that is in an aggregator's directory.
func check(dir string, own strategy.Registry) string {
	about, err := os.ReadFile(filepath.Join(dir, "records", "bearings.json"))
	if err != nil {
		return err.Error()
	}
	blob := func(id model.Hash) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, "blobs", id.String()[:2], id.String()))
	}
	p := replay.New(replay.Config{Description: about, Blobs: blob, Strategies: own})
	files, err := filepath.Glob(filepath.Join(dir, "records", "bearings", "*.json"))
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, name := range files { // in the order of rounds
		raw, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		r, err := record.Decode(raw)
		if err != nil {
			return err.Error()
		}
		o, err := p.Next(r.Round, r.Attempt, raw)
		if err != nil {
			return err.Error()
		}
		if r.Work != strategy.Train || o.How != replay.Replayed {
			continue
		}
		b, err := blob(r.Model)
		if err != nil {
			return err.Error()
		}
		w, err := (&model.Model{Schema: p.Layout(), Blob: b}).Float32s("w")
		if err != nil {
			return err.Error()
		}
		text = fmt.Sprintf("two rounds of %s: w is %v, replayed", r.Strategy.Name, w[0])
	}
	return text
}
