package main

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/fedmq/fedmq/aggregator"
)

// together runs an aggregator and its sites in this process, each with its own
// connection, until every task has ended or a site has failed. Sites get a
// context of their own: they stay until the aggregator has ended, and last has.
func together(ctx context.Context, cfg aggregator.Config, aggregate func(context.Context, aggregator.Config) error, sites []func(context.Context) error, last func(context.Context) error) error {
	lastCtx, endLast := context.WithCancel(ctx)
	defer endLast()
	aggCtx, endAggregator := context.WithCancel(ctx)
	defer endAggregator()
	ends := newEnds(cfg, endAggregator, true)
	cfg.OnEnd = ends.on
	siteCtx, endSites := context.WithCancel(context.WithoutCancel(ctx))
	defer endSites()
	var wg sync.WaitGroup
	errs := make([]error, len(sites)+1)
	for i, run := range sites {
		wg.Go(func() {
			if errs[i] = run(siteCtx); errs[i] != nil {
				endAggregator()
				endLast()
			}
		})
	}
	errs[len(sites)] = aggregate(aggCtx, cfg)
	if errs[len(sites)] == nil && ends.err() == nil {
		errs[len(sites)] = last(lastCtx)
	}
	endSites()
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return ends.err()
}

// atOnce calls f for 0 to n-1, as many at once as there are processors.
func atOnce(n int, f func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
