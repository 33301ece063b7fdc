package main

import (
	"errors"
	"fmt"
	"os"
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

// locals says whose the tensors are that stay at the sites, or whose the whole model is; ""
// where it is everybody's.
func (a about) locals() string {
	switch {
	case a.Personal != nil:
		p := *a.Personal
		return fmt.Sprintf("trained by %s for itself: %s %.4g there, the released version %.4g, on %d rows of its own", a.Own, p.Metric, p.Own, p.Global, p.Rows)
	case len(a.Local) == 0:
		return ""
	case a.Own != "":
		return fmt.Sprintf("%s are those of %s", pipeline.List(a.Local), a.Own)
	}
	return fmt.Sprintf("%s stay at the sites, and are as the task began with them; --own DATA_DIR of model get takes those of a site", pipeline.List(a.Local))
}

// settle makes a version the model of one site; dir is its data directory, "" for none. It is
// what the site has trained for itself from this version, where that is better there (S-57), or
// the tensors that it keeps for itself take the places of those that came. The numbers go: they are
// of all sites, each with its own. The threshold is what each of them was judged by.
func (a *about) settle(m *model.Model, dir string) error {
	if dir == "" {
		return nil
	}
	if absent(filepath.Join(dir, "state.db")) {
		return usageError{fmt.Errorf("--own: %s has no state.db: want the data directory (data_dir) of a site", dir)}
	}
	mine, err := site.Personal(dir, a.Task)
	if err != nil {
		return ownError(dir, err)
	}
	if mine.Model != nil && mine.Base == a.Content && mine.Used {
		if d := mine.Model.Schema.Difference(m.Schema.Plain()); d != "" {
			return fmt.Errorf("--own: %s has another model than this task: %s", dir, d)
		}
		*m = *mine.Model
		a.Personal, a.Local = &mine.Compared, nil
		a.ofSite(mine.Node, m)
		return nil
	}
	node, own, err := site.Own(dir, a.Task)
	if err != nil {
		return ownError(dir, err)
	}
	if own == nil {
		return a.without(dir, mine)
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
	a.ofSite(node, m)
	return nil
}

// ofSite says that the model is a site's.
func (a *about) ofSite(node string, m *model.Model) {
	a.Own, a.Content = node, m.ContentID()
	a.Metrics, a.Best, a.Precision, a.Recall = nil, nil, nil, nil
}

// without is of a site that keeps no tensors: the version is its model as it is, if it has found
// that better than its own. What it has of another version is not what is asked for.
func (a *about) without(dir string, mine site.Fitted) error {
	switch {
	case mine.Model == nil:
		return usageError{fmt.Errorf("--own: %s has no model or tensors of its own for task %s: want the data directory (data_dir) of a site that has trained for it, under strategy.keep_local or share, or with personalise; one that has not yet uses what is released: --released, without --own", dir, a.Task)}
	case mine.Base != a.Content:
		return usageError{fmt.Errorf("--own: %s has trained version %d for itself, and this is version %d: --round %[2]d with --dir gets that one, or --released of a broker as long as it is the released one", dir, mine.Version, a.Version)}
	}
	fmt.Fprintf(os.Stderr, "The own model of %s is not better there (%s %.4g, this version %.4g): it is this version that is written.\n", mine.Node, mine.Metric, mine.Own, mine.Global)
	return nil
}

// ownError says what to do about a data directory that cannot be read.
func ownError(dir string, err error) error {
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("--own: %w: the site runs; stop it for as long, or name a copy of its data directory", err)
	}
	return fmt.Errorf("--own: %s: %w", dir, err)
}
