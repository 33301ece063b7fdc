package aggregator

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// commit closes a round: fold, model and record durable, one transaction with
// the machine's next order, then everything is published.
func (t *task) commit(c round.Commit) error {
	t.times.closed = t.a.nowMS()
	next, err := t.finish(c)
	if err != nil {
		return fmt.Errorf("round %d: %w", c.Round, err)
	}
	id := next.ContentID()
	if err := t.durable(c, next); err != nil {
		return err
	}
	raw, err := t.committedRecord(c, id)
	if err != nil {
		return err
	}
	hash := record.Hash(raw)
	t.machine.Step(round.Committed{Now: t.a.nowMS(), Base: round.ID(id), RecordHash: round.ID(hash)})
	rd := t.machine.Ready()
	t.wakeAt = rd.Wake
	if len(rd.Save.Records) > 0 || len(rd.Fold) > 0 || rd.Commit != nil {
		return errors.New("a commit led to more than the next order")
	}
	if err := t.a.store.Update(func(tx *store.Tx) error {
		if err := tx.PutRecord(t.cfg.Name, c.Round, c.Attempt, raw); err != nil {
			return err
		}
		return t.saveState(tx, rd.Save)
	}); err != nil {
		return err
	}
	t.prev, t.base = hash, next
	clear(t.folded)
	t.saved(rd.Save)
	t.recorded(c.Round, c.Attempt, raw)
	if err := t.fold(rd); err != nil { // Restart: the next round's empty sum
		return err
	}
	if err := t.retire(c); err != nil {
		return err
	}
	return t.send(rd.Send)
}

// finish computes the model after the round.
func (t *task) finish(c round.Commit) (*model.Model, error) {
	switch c.Work {
	case round.WorkTrain:
		return t.strategy.Result()
	case round.WorkStatistics:
		var parts []fold.Moments
		for _, acc := range c.Accepted { // path order
			m, err := momentsOf(t.folded[acc.Member].delta)
			if err != nil {
				return nil, err
			}
			parts = append(parts, m)
		}
		return withZScore(t.base, parts)
	}
	return t.base, nil
}

// durable puts the model, and the updates that are to stay, on disk.
func (t *task) durable(c round.Commit, next *model.Model) error {
	if err := t.a.store.PutBlob(next.ContentID(), next.Blob, true); err != nil {
		return err
	}
	if t.cfg.KeepUpdates != KeepAll || c.Work == round.WorkEvaluate {
		return nil
	}
	ids := make([][32]byte, len(c.Accepted))
	for i, acc := range c.Accepted {
		ids[i] = acc.Content
	}
	return t.a.store.SyncBlobs(ids...)
}

// retire removes what is not to be kept any longer: the round's updates, and
// model versions beyond the retention.
func (t *task) retire(c round.Commit) error {
	if t.cfg.KeepUpdates == KeepRound {
		for _, acc := range c.Accepted {
			if err := t.a.store.RemoveBlob(acc.Content); err != nil && !errors.Is(err, store.ErrMissing) {
				return err
			}
		}
	}
	t.versions = append(t.versions, c.Base)
	if t.cfg.KeepModels < 0 {
		return nil
	}
	for len(t.versions) > t.cfg.KeepModels {
		old := t.versions[0]
		t.versions = t.versions[1:]
		if old == t.state.Base || slices.Contains(t.versions, old) {
			continue
		}
		if err := t.a.store.RemoveBlob(old); err != nil && !errors.Is(err, store.ErrMissing) {
			return err
		}
	}
	return nil
}

// genesis makes record 0: version 0 of the model.
func (t *task) genesis() error {
	id := t.cfg.Init.ContentID()
	if err := t.a.store.PutBlob(id, t.cfg.Init.Blob, true); err != nil {
		return err
	}
	raws, err := t.rawRecords()
	if err != nil || len(raws) > 0 {
		return errors.Join(err, t.chain(raws))
	}
	now := t.a.nowMS()
	raw, err := t.encode(record.Record{
		Verdict: record.Committed, Work: "init", Model: id, Epoch: 0,
		OpenedMS: now, ClosedMS: now, CommittedMS: now, Reason: "init",
	})
	if err != nil {
		return err
	}
	if err := t.a.store.Update(func(tx *store.Tx) error { return tx.PutRecord(t.cfg.Name, 0, 0, raw) }); err != nil {
		return err
	}
	t.prev = record.Hash(raw)
	t.recorded(0, 0, raw)
	return nil
}

// committedRecord accounts for a commit.
func (t *task) committedRecord(c round.Commit, id model.ContentID) ([]byte, error) {
	r := record.Record{
		Round: c.Round, Attempt: c.Attempt, Epoch: c.Epoch, Verdict: record.Committed, Work: string(c.Work),
		Base: model.ContentID(c.Base), Model: id, Version: c.Round, OrderHash: t.orderHash,
		Strategy: t.strategyOf(c.Params), Entries: t.entries(c.Entries), Metrics: t.metrics(),
		OpenedMS: t.times.opened, ClosedMS: t.times.closed, CommittedMS: t.a.nowMS(), Reason: string(c.Reason),
	}
	r.BytesUp, r.BytesDown = t.traffic()
	return t.encode(r)
}

// abandonedRecords accounts for attempts that were given up, in order, and
// returns the hash that the next record has to name.
func (t *task) abandonedRecords(list []round.Record) (raws [][]byte, prev [32]byte, err error) {
	saved := t.prev
	defer func() { t.prev = saved }()
	for _, a := range list {
		now := t.a.nowMS()
		r := record.Record{
			Round: a.Round, Attempt: a.Attempt, Epoch: a.Epoch, Verdict: record.Abandoned, Work: string(a.Work),
			Base: model.ContentID(a.Base), OrderHash: t.orderHash, Strategy: t.strategyOf(a.Params), Entries: t.entries(a.Entries),
			OpenedMS: t.times.opened, ClosedMS: now, Reason: string(a.Reason),
		}
		r.BytesUp, r.BytesDown = t.traffic()
		raw, err := t.encode(r)
		if err != nil {
			return nil, saved, err
		}
		raws = append(raws, raw)
		t.prev = record.Hash(raw)
	}
	return raws, t.prev, nil
}

// encode fills in what every record of the task has in common.
func (t *task) encode(r record.Record) ([]byte, error) {
	r.Owner, r.Task, r.Prev = t.topics.Node(), t.cfg.Name, record.Digest(t.prev)
	if t.a.cfg.Signer == nil {
		return r.Encode(nil)
	}
	return r.Encode(t.a.cfg.Signer)
}

func (t *task) strategyOf(p round.Params) record.Strategy {
	if p.Work != round.WorkTrain {
		return record.Strategy{}
	}
	return record.Strategy{Name: t.strategy.Name(), GridB: p.GridB, GridW: p.GridW, Cap: p.Cap, Weights: string(p.Weights)}
}

func (t *task) entries(list []round.Entry) record.Entries {
	out := make(record.Entries, len(list))
	for i, e := range list {
		out[i] = record.Entry{
			Member: e.Member, Index: e.Index, Content: model.ContentID(e.Content), Samples: e.Samples, Weight: e.Weight,
			Norm: record.Number(e.Norm), Bytes: e.Bytes, Verdict: e.Verdict, Conflict: e.Conflict, Detail: e.Detail,
		}
		if s := t.folded[e.Member]; s != nil && s.content == out[i].Content {
			out[i].Metrics = record.Values(trainer.Pool([]trainer.Metrics{s.metrics}))
		}
	}
	return out
}

// metrics pools what the members measured of the round's base: ratios of
// exact sums, and beside them the best and the worst site.
func (t *task) metrics() record.Metrics {
	paths := make([]string, 0, len(t.folded))
	for p := range t.folded {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	var sums []map[string]float64
	out := record.Metrics{}
	for _, p := range paths {
		sums = append(sums, t.folded[p].metrics)
		for name, v := range trainer.Pool([]trainer.Metrics{t.folded[p].metrics}) {
			out[name] = extend(out[name], name, p, v)
		}
	}
	for name, v := range trainer.Pool([]trainer.Metrics{poolSums(sums)}) {
		m := out[name]
		m.Value = record.Number(v)
		out[name] = m
	}
	return out
}

// extend takes one site's value into a metric's best and worst; ties stay with
// the smaller path (algorithms A7).
func extend(m record.Metric, name, site string, v float64) record.Metric {
	x := record.Number(v)
	if m.Sites == 0 {
		return record.Metric{Sites: 1, Best: x, BestSite: site, Worst: x, WorstSite: site}
	}
	m.Sites++
	better, worse := x > m.Best, x < m.Worst
	if lowerIsBetter(name) {
		better, worse = x < m.Best, x > m.Worst
	}
	if better {
		m.Best, m.BestSite = x, site
	}
	if worse {
		m.Worst, m.WorstSite = x, site
	}
	return m
}

// lowerIsBetter tells errors from scores.
func lowerIsBetter(name string) bool { return name == "loss" || name == "rmse" || name == "mae" }
