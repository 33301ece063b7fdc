package main

import (
	"fmt"
	"path/filepath"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// tellScale says which feature a model without a z-score is not to be given as it is. Only
// the aggregator's file, where it is beside, tells whether the task's has one.
func (c *siteCmd) tellScale(task string, d *tabular.Trainer) {
	own := d.Contract()
	large := d.Unscaled()
	if own == nil || own.ZClip > 0 || large == "" { // zclip is refused without a z-score
		return
	}
	dir := filepath.Dir(c.Config)
	f, err := taskBeside(dir, task)
	if err != nil || f.Name == "" {
		fmt.Fprintf(stdout, "  scale      where the task has no statistics: zscore, %s\n", large)
		return
	}
	if f.Statistics.alone {
		return
	}
	m, err := f.loadModel(dir)
	if err == nil {
		large = d.Caution(m)
	} else if f.Statistics.zscore {
		return
	}
	if large != "" {
		fmt.Fprintf(stdout, "  warning    %s\n", large)
	}
}
