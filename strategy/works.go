package strategy

import (
	"slices"

	"github.com/fedmq/fedmq/model"
)

// Kinds of work that end in a fold.
const (
	Train      = "train"
	Statistics = "statistics"
	Evaluate   = "evaluate"
)

// Work is a kind of work and how its updates become a model.
type Work struct {
	ID     string                          // as orders and records say
	Weighs bool                            // its updates have weights, on a grid, and a strategy folds them
	Keeps  bool                            // the model stays as it is
	Schema func(model.Schema) model.Schema // of an update, by that of the model

	begin func(Registry, Setup, Fold) (Fold, error)
}

// Folds reports that its updates are folded, to a model that replay makes again.
func (w Work) Folds() bool { return w.begin != nil }

// Name is the ID.
func (w Work) Name() string { return w.ID }

// works are all there are.
var works = []Work{
	{ID: Train, Weighs: true, Schema: model.Schema.Shared, begin: func(g Registry, s Setup, before Fold) (Fold, error) {
		st, _, err := g.strategy(s.Strategy, s.Params)
		if err != nil {
			return nil, err
		}
		return st.Begin(s.Round, before)
	}},
	{ID: Statistics, Schema: StatisticsOf, begin: func(_ Registry, s Setup, _ Fold) (Fold, error) {
		if v, ok := model.SurveyOf(s.Base.Schema); ok {
			return newSurvey(s.Base, v)
		}
		return newStatistics(s.Base)
	}},
	{ID: Evaluate, Keeps: true, Schema: nothing, begin: func(Registry, Setup, Fold) (Fold, error) { return evaluation{}, nil }},
}

// Works lists the kinds of work.
func Works() []Work { return slices.Clone(works) }

// WorkOf returns the kind of work that an order or a record names; what it does
// not know neither weighs, folds nor keeps the model.
func WorkOf(id string) Work {
	w, err := find("work", id, works)
	if err != nil {
		return Work{ID: id, Schema: nothing}
	}
	return w
}

func nothing(model.Schema) model.Schema { return model.Schema{} }

// evaluation takes numbers alone, which others pool, and changes nothing.
type evaluation struct{}

func (evaluation) Schema() model.Schema                { return model.Schema{} }
func (evaluation) CheckPart(Update, []byte, int) error { return nil }
func (evaluation) Check(Update) error                  { return nil }
func (evaluation) Add(Update)                          {}
func (evaluation) NeedsAll() bool                      { return false }
func (evaluation) Finish(*Updates, *Output) error      { return nil }
