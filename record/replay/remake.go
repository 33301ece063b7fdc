package replay

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// remake makes the model of a record again from its base and the updates that
// were counted (RC-21), nil where they were not kept. The blobs of all updates
// that are there are checked, those of abandoned attempts too.
func (p *Replay) remake(r record.Record) (*strategy.Result, error) {
	f := folding{p: p, r: r}
	if err := f.begin(); err != nil {
		return nil, err
	}
	whole, err := f.updates()
	if err != nil || !whole || f.fold == nil {
		return nil, err
	}
	f.fold.Refused(f.r.Counts()[verdict.NormOutlier.String()])
	made, err := f.fold.Result(f.all(), nil)
	switch {
	case errors.Is(f.unread, errGone):
		return nil, nil
	case f.unread != nil:
		return nil, f.unread
	case err != nil:
		return nil, differ("%v", err)
	}
	if f.r.Notes != nil && !slices.Equal(f.r.Notes, made.Notes) { // records of before have none
		return nil, differ("its notes are %q, the replay's %q", f.r.Notes, made.Notes)
	}
	return &made, nil
}

// errGone: what was there before has been removed by a retention at work.
var errGone = errors.New("replay: an update is not there any more")

// folding is one round that is folded again.
type folding struct {
	p       *Replay
	r       record.Record
	fold    *strategy.Aggregation // nil: nothing is made again
	counted []record.Entry        // that the fold has, in path order
	added   []strategy.Update     // likewise, without tensors
	unread  error                 // why the fold could not read one again
}

// begin begins what the record says was done, if its base is at hand, and what
// strategy and optimiser have left.
func (f *folding) begin() (err error) {
	if f.r.Verdict == record.Abandoned || f.p.model == nil || !f.p.state.known || !strategy.WorkOf(f.r.Work).Folds() {
		return nil
	}
	s := f.r.Strategy
	if err := f.thresholds(s); err != nil {
		return err
	}
	set := f.setup()
	there, err := f.root(&set)
	if err != nil || !there {
		return err
	}
	f.fold, err = f.p.cfg.Strategies.Begin(set, f.p.before)
	if err != nil {
		return differ("%v", err)
	}
	f.p.before = f.fold
	return nil
}

// setup is how the record says that its updates were folded.
func (f *folding) setup() strategy.Setup {
	s := f.r.Strategy
	return strategy.Setup{
		Work: f.r.Work, Strategy: s.Name, Params: strategy.Settings(s.Params), Server: s.Server, ServerParams: strategy.Settings(s.ServerParams),
		State: f.p.state.blob, Guard: s.Guard, Thresholds: s.Thresholds, Round: strategy.Round{Base: f.p.model, GridB: s.GridB, GridW: s.GridW, Enrolled: s.Enrolled},
	}
}

// root reads the aggregator's own update, for a strategy that held the others against one;
// false: it was not kept.
func (f *folding) root(s *strategy.Setup) (there bool, err error) {
	rooted, err := f.p.cfg.Strategies.Rooted(*s)
	id := f.r.Strategy.Root
	switch {
	case err != nil:
		return false, differ("%v", err)
	case rooted == id.IsZero():
		return false, differ("strategy %s, and the aggregator's own update is %q", s.Strategy, id)
	case !rooted:
		return true, nil
	}
	b, err := f.p.fetch(f.r, id, "aggregator's own update")
	if err != nil || b == nil {
		return false, err
	}
	shared := s.Base.Schema.Shared()
	if len(b) != shared.Bytes() {
		return false, differ("the aggregator's own update has %d bytes, want %d", len(b), shared.Bytes())
	}
	s.Root = &model.Model{Schema: shared, Blob: b}
	return true, nil
}

// thresholds holds those of the record against what its guard and the rounds before give.
func (f *folding) thresholds(s record.Strategy) error {
	g, err := strategy.GuardOf(s.Guard)
	if err != nil {
		return differ("%v", err)
	}
	want, err := g.Thresholds(f.p.state.blob)
	if err != nil {
		return differ("%v", err)
	}
	if !maps.Equal(want, s.Thresholds) {
		return differ("the thresholds are %v, after the rounds before %v", s.Thresholds, want)
	}
	return nil
}

// updates reads the updates that are there, one at a time, and adds those that
// were counted. It reports whether all of them were there.
func (f *folding) updates() (whole bool, err error) {
	var there, missing []record.Entry
	for _, e := range f.r.Entries {
		if e.Content.IsZero() || strategy.WorkOf(f.r.Work).Keeps { // of numbers alone: there is no blob
			continue
		}
		b, err := f.p.fetch(f.r, e.Content, "update")
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
	if f.fold == nil || !whole {
		return nil
	}
	u, err := f.update(e, b)
	if err != nil {
		return err
	}
	u = f.fold.Measure(u)
	if err := f.fold.Check(u); err != nil {
		return differ("its update cannot be counted: %v", err)
	}
	if norm := record.Number(u.Norm); norm != e.Norm {
		return differ("the norm of its update is %v, the record says %v", norm, e.Norm)
	}
	f.fold.Add(u)
	u.Tensors = nil
	f.counted, f.added = append(f.counted, e), append(f.added, u)
	return nil
}

// update is what an entry and the bytes of its update say.
func (f *folding) update(e record.Entry, b []byte) (strategy.Update, error) {
	m, err := f.p.cfg.Strategies.Decode(e.Encoding, b, f.fold.Schema(), nil)
	if err != nil {
		return strategy.Update{}, differ("its update: %v", err)
	}
	return updateOf(e, m), nil
}

func updateOf(e record.Entry, m *model.Model) strategy.Update {
	return strategy.Update{Index: e.Index, Samples: e.Samples, Weight: e.Weight, Scalars: e.Scalars, Tensors: m, Staleness: e.Staleness}
}

// all reads the counted updates once more, one at a time.
func (f *folding) all() *strategy.Updates {
	all := &strategy.Updates{Schema: f.fold.Schema(), List: f.added}
	at, blob := -1, []byte(nil)
	all.ReadAt = func(p []byte, i, off int) error {
		if e := f.counted[i]; f.p.cfg.At != nil && (e.Encoding == "" || e.Encoding == strategy.Dense) {
			return f.piece(e, p, off)
		}
		if i != at {
			u, err := f.again(f.counted[i])
			if err != nil {
				f.unread = ofMember(err, f.counted[i].Member)
				return err
			}
			at, blob = i, u.Tensors.Blob
		}
		copy(p, blob[off:])
		return nil
	}
	return all
}

// piece reads a piece of an update that was read before, whose bytes are its values.
func (f *folding) piece(e record.Entry, p []byte, off int) error {
	err := f.p.cfg.At(e.Content, p, int64(off))
	if errors.Is(err, fs.ErrNotExist) {
		err = errGone
	}
	if err != nil {
		f.unread = ofMember(err, e.Member)
	}
	return err
}

// again reads an update that was read before.
func (f *folding) again(e record.Entry) (strategy.Update, error) {
	b, err := f.p.fetch(f.r, e.Content, "update")
	if err == nil && b == nil {
		err = errGone
	}
	if err != nil {
		return strategy.Update{}, err
	}
	return f.update(e, b)
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
