package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/site"
)

// whole refuses a file without the tensors that each site has trained for itself: with
// those that the task began with nothing was measured, and nothing can be predicted.
func (a about) whole() error {
	if len(a.Local) == 0 || a.Own != "" {
		return nil
	}
	return fmt.Errorf("%s stay at the sites (strategy.keep_local, share), each of which trains its own: the file has the values that the task began with, "+
		"and nothing can be predicted with them; the model of one site is what fedmq model get -t %s --own DATA_DIR writes, with that site's data directory", pipeline.List(a.Local), a.Task)
}

// locals says whose the tensors are that stay at the sites; "" where all are shared.
func (a about) locals() string {
	switch {
	case len(a.Local) == 0:
		return ""
	case a.Own != "":
		return fmt.Sprintf("%s are those of %s", pipeline.List(a.Local), a.Own)
	}
	return fmt.Sprintf("%s stay at the sites, and are as the task began with them; --own DATA_DIR of model get takes those of a site", pipeline.List(a.Local))
}

// settle puts the tensors that a site keeps for itself in the place of those that a model
// came with; dir is the site's data directory, "" for none. The numbers go: they are of all
// sites, each with its own. The threshold is what each of them was judged by.
func (a *about) settle(m *model.Model, dir string) error {
	if dir == "" {
		return nil
	}
	if absent(filepath.Join(dir, "state.db")) {
		return usageError{fmt.Errorf("--own: %s has no state.db: want the data directory (data_dir) of a site", dir)}
	}
	node, own, err := site.Own(dir, a.Task)
	switch {
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("--own: %w: the site runs; stop it for as long, or name a copy of its data directory", err)
	case err != nil:
		return fmt.Errorf("--own: %s: %w", dir, err)
	case own == nil:
		return usageError{fmt.Errorf("--own: %s has no tensors of its own for task %s: want the data directory (data_dir) of a site that has trained for it, under strategy.keep_local or share", dir, a.Task)}
	}
	for _, name := range a.Local {
		if own.Schema.Index(name) < 0 {
			return fmt.Errorf("--own: %s has no %s, which stays at the sites of this task: it is of another one", dir, name)
		}
	}
	a.Local = nil
	for _, spec := range own.Schema {
		i := m.Schema.Index(spec.Name)
		if i < 0 || !(model.Schema{m.Schema[i]}).Equal(model.Schema{spec}) {
			return fmt.Errorf("--own: %s has %s as %v%v, and the model has not: it is of another task", dir, spec.Name, spec.DType, spec.Shape)
		}
		copy(m.Bytes(spec.Name), own.Bytes(spec.Name))
		a.Local = append(a.Local, spec.Name)
	}
	a.Own, a.Content = node, m.ContentID()
	a.Metrics, a.Best, a.Precision, a.Recall = nil, nil, nil, nil
	return nil
}
