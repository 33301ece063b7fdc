package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// demo is one run.
type demo struct {
	demoCmd
	ex       example
	logs     *logFlags
	talk     io.Writer // tables and progress
	terminal bool

	cfg   aggregator.Config
	task  string
	data  []*tabular.Data
	files []siteFile

	personal *personalWait
	alone    []*model.Model // of each site, as it ends alone
}

func (d *demo) run(ctx context.Context) (*result, error) {
	url, taken, stopBroker, err := d.broker.embedded(ctx, d.Listen, filepath.Join(d.Dir, "broker"), d.logs.logger())
	if taken {
		fmt.Fprintf(d.talk, "%s is taken; using a free port.\n", d.Listen)
	}
	if err != nil {
		return nil, err
	}
	recs, err := d.federate(ctx, url)
	if err := errors.Join(err, stopBroker()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Canceled
	}
	res := &result{Example: d.ex.name, Simulated: !d.ex.real, Metric: d.ex.metric, Dir: d.Dir}
	curve := res.summarise(d.ex, recs)
	state, err := roundState(d.cfg.DataDir, d.cfg.Tasks[0].Name)
	if err != nil {
		return nil, err
	}
	final, err := saveModel(d.cfg.DataDir, d.cfg.Tasks[0], state, recs, len(recs)-1, filepath.Join(d.Dir, "model.safetensors"))
	if err != nil {
		return nil, err
	}
	res.Parameters = final.Schema.Shared().Elements()
	if err := d.baselines(ctx, res); err != nil {
		return nil, err
	}
	if err := d.home(ctx, res, recs); err != nil {
		return nil, err
	}
	picture := filepath.Join(d.Dir, "rounds.png")
	if err := plotRounds(picture, d.ex, curve, res); err != nil {
		return nil, err
	}
	d.report(res, picture)
	return res, nil
}

// federate runs aggregator and sites to the end of the task and returns its
// records.
func (d *demo) federate(ctx context.Context, url string) ([]record.Record, error) {
	if err := d.layOut(url); err != nil {
		return nil, err
	}
	if err := d.load(); err != nil {
		return nil, err
	}
	d.intro(url)
	follow := newRecordFiles(filepath.Join(d.cfg.DataDir, "records", d.task), d.row)
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan struct{})
	go func() { defer close(followed); follow.run(runCtx) }()
	run := d.inProcess
	if d.Processes {
		run = d.asProcesses
	}
	err := run(runCtx)
	cancel()
	<-followed
	if err != nil || ctx.Err() != nil {
		return nil, err
	}
	return follow.rest()
}

// load reads configurations and data as the commands do.
func (d *demo) load() error {
	cfg, err := loadAggregator(filepath.Join(d.Dir, "aggregator.yaml"))
	if err != nil {
		return err
	}
	d.cfg, d.task = cfg, cfg.Tasks[0].Name
	for _, vars := range d.ex.sites {
		var f siteFile
		if err := loadYAML(d.siteFile(vars), &f); err != nil {
			return err
		}
		data, err := tabular.Load(tabular.Dir(d.Dir), *f.Tasks[0].Trainer.Tabular)
		if err != nil {
			return fmt.Errorf("%s: %w", d.siteFile(vars), err)
		}
		d.files, d.data = append(d.files, f), append(d.data, data)
	}
	at := clientFlags{Broker: d.cfg.Broker}
	d.personal, err = newPersonalWait(d.cfg, at, d.logs.logger(), d.files)
	return err
}

// inProcess runs everything in this process, each party with its own MQTT
// connection.
func (d *demo) inProcess(ctx context.Context) error {
	cfg := d.cfg
	cfg.Log = d.logs.logger()
	sites := make([]func(context.Context) error, len(d.files))
	for i, f := range d.files {
		tr, err := tabular.New(d.data[i])
		if err != nil {
			return err
		}
		c := site.Config{
			Broker: string(f.Connection.Broker), Namespace: f.Connection.Namespace, Member: f.Member, DataDir: at(d.Dir, f.Connection.DataDir),
			Log: d.logs.logger(), Tasks: []site.Task{{Name: d.task, Trainer: slowed(tr, d.Slow), Personalise: f.Tasks[0].Personalise.site()}},
		}
		sites[i] = func(ctx context.Context) error { return site.Run(ctx, c) }
	}
	return together(ctx, cfg, aggregator.Run, sites, d.personal.wait)
}

// asProcesses runs aggregator and sites as the commands that anybody would
// start, with their logs beside the configurations.
func (d *demo) asProcesses(ctx context.Context) error {
	sites := make([]party, 0, len(d.ex.sites))
	for _, vars := range d.ex.sites {
		p := party{name: siteName(vars), args: []string{"site", "-c", d.siteFile(vars)}}
		if d.Slow {
			p.args = append(p.args, "--slow")
		}
		sites = append(sites, p)
	}
	return asProcesses(ctx, d.Dir, nil, sites, d.personal.wait)
}

// watchLine is the command that shows a running demo.
func (d *demo) watchLine(url string) string {
	ns, err := topics.New(d.cfg.Namespace)
	if err != nil {
		return ""
	}
	filters, err := watchFilters(ns, d.cfg.Owner, d.cfg.Tasks[0].Members, nil)
	if err != nil {
		return ""
	}
	return mosquittoSub(url, filters)
}
