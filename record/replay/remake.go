package replay

import (
	"github.com/fedmq/fedmq/aggregator/strategy"
	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// remake makes the model of a record again from its base and the updates that
// were counted (RC-21), nil where they were not kept. The blobs of all updates
// that are there are checked, those of abandoned attempts too.
func (p *Replay) remake(r record.Record) (*model.Model, error) {
	f := folding{p: p, r: r}
	switch {
	case r.Verdict == record.Committed && r.Work == workEvaluate:
		return p.model, nil
	case r.Verdict == record.Abandoned || p.model == nil:
	case r.Work == workTrain:
		if err := f.train(); err != nil {
			return nil, err
		}
	case r.Work == workStatistics:
		if err := f.statistics(); err != nil {
			return nil, err
		}
	}
	whole, err := f.updates()
	if err != nil || !whole || f.result == nil {
		return nil, err
	}
	next, err := f.result()
	if err != nil {
		return nil, differ("%v", err)
	}
	return next, nil
}

// folding is one round that is folded again.
type folding struct {
	p      *Replay
	r      record.Record
	schema model.Schema // of an update
	add    func(record.Entry, *model.Model) error
	result func() (*model.Model, error)
}

// train folds with the strategy that the record names.
func (f *folding) train() error {
	name := f.r.Strategy.Name
	s := f.p.folds[name]
	if s == nil {
		var err error
		if s, err = strategy.New(name); err != nil {
			return differ("%v", err)
		}
		f.p.folds[name] = s
	}
	if err := s.Begin(f.p.model, fold.Grid{B: f.r.Strategy.GridB, W: f.r.Strategy.GridW}); err != nil {
		return differ("%v", err)
	}
	f.schema, f.result = f.p.schema.Shared(), s.Result
	f.add = func(e record.Entry, delta *model.Model) error {
		if err := s.Check(delta, e.Weight); err != nil {
			return differ("its update cannot be counted: %v", err)
		}
		if norm := record.Number(strategy.Norm(delta)); norm != e.Norm {
			return differ("the norm of its update is %v, the record says %v", norm, e.Norm)
		}
		s.Add(delta, e.Weight)
		return nil
	}
	return nil
}

// statistics merges moments in the order of the entries, which is that of the
// paths.
func (f *folding) statistics() error {
	s, err := strategy.NewStatistics(f.p.model)
	if err != nil {
		return differ("%v", err)
	}
	f.schema, f.result = strategy.StatisticsOf(f.p.schema), s.Result
	f.add = func(_ record.Entry, update *model.Model) error {
		if err := strategy.CheckStatistics(update); err != nil {
			return differ("its statistics cannot be merged: %v", err)
		}
		if err := s.Add(update); err != nil {
			return differ("%v", err)
		}
		return nil
	}
	return nil
}

// updates reads the updates that are there, one at a time, and adds those that
// were counted. It reports whether all of them were there.
func (f *folding) updates() (whole bool, err error) {
	var there, missing []record.Entry
	for _, e := range f.r.Entries {
		if e.Content.IsZero() {
			continue
		}
		b, err := f.p.fetch(e.Content, "update")
		if err != nil {
			return false, ofMember(err, e.Member)
		}
		switch {
		case e.Verdict != verdict.Counted:
		case b == nil:
			missing = append(missing, e)
		default:
			there = append(there, e)
			if err := f.one(e, b, len(missing) == 0); err != nil {
				return false, ofMember(err, e.Member)
			}
		}
	}
	if len(missing) > 0 && f.partly(there) {
		return false, ofMember(differ("the blob of its update %s is missing, while updates of others are there", missing[0].Content), missing[0].Member)
	}
	return len(missing) == 0, nil
}

// one adds one update, unless the round cannot be made again anyway.
func (f *folding) one(e record.Entry, b []byte, whole bool) error {
	if f.add == nil || !whole {
		return nil
	}
	if len(b) != f.schema.Bytes() {
		return differ("its update has %d bytes, want %d", len(b), f.schema.Bytes())
	}
	return f.add(e, &model.Model{Schema: f.schema, Blob: b})
}

// partly reports whether some updates were kept: those that are no model's
// bytes as well. A retention at work while this reads ends with none.
func (f *folding) partly(there []record.Entry) bool {
	n := 0
	for _, e := range there {
		if f.p.models[e.Content] || e.Content == f.r.Model {
			continue
		}
		b, err := f.p.cfg.Blobs(e.Content)
		if err != nil || b == nil {
			return false
		}
		n++
	}
	return n > 0
}
