package aggregator

import (
	"cmp"
	"crypto"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// committedRecord accounts for a commit, and says what its base came to.
func (t *task) committedRecord(c round.Commit, next, state model.Hash, notes []string, closed int64) (record.Sealed, *round.Score, error) {
	order, ordered := t.published.issued[c.Stamp]
	if !ordered { // nobody was asked
		order.opened = closed
	}
	metrics, measured := t.metrics(c.Work)
	r := record.Record{
		Round: c.Round, Attempt: c.Attempt, Epoch: c.Epoch, Verdict: record.Committed, Work: c.Work,
		Base: c.Base, Model: next, State: state, Version: c.Round, OrderHash: order.hash,
		Strategy: t.strategyOf(c.Params), Entries: t.entries(c.Entries), Metrics: metrics, Measured: measured,
		OpenedMS: order.opened, ClosedMS: closed, CommittedMS: t.a.nowMS(), Reason: string(c.Reason), Notes: notes, Settings: t.differ(c.Work), Rollback: rolledBackTo(c.To),
	}
	r.Strategy.Root = t.sum.rootID()
	score := t.cfg.score(r)
	var early *round.Tried
	if score != nil {
		early = t.triedEarly(score)
		score.Tried, score.Canary = t.tried(score), early
	}
	r.Canaries = canariesOf(t.state, early)
	r.Best, r.Gate = bestOf(t.m.Round().Judge(score)), gateOf(score, t.state.Version)
	r.BytesUp, r.BytesDown = t.traffic()
	sealed, err := t.sealed(r, t.keeping.tip)
	return sealed, score, err
}

// bestOf is what a record says of the best version.
func bestOf(b *round.Best) *record.Best {
	if b == nil || b.Round == 0 { // of a state that did not note who has measured it
		return nil
	}
	return &record.Best{Version: b.Version, Trained: b.Trained, Round: b.Round, Metric: b.Metric, Value: b.Value}
}

// abandonedRecords accounts for attempts that were given up, in order.
func (t *task) abandonedRecords(list []round.Record) (out []record.Sealed, err error) {
	prev := t.keeping.tip
	for _, a := range list {
		order, known := t.published.issued[a.Stamp]
		now := t.a.nowMS()
		if !known { // it never left
			order.opened = now
		}
		r := record.Record{
			Round: a.Round, Attempt: a.Attempt, Epoch: a.Epoch, Verdict: record.Abandoned, Work: a.Work,
			Base: a.Base, OrderHash: order.hash, Strategy: t.strategyOf(a.Params), Entries: t.entries(a.Entries),
			OpenedMS: order.opened, ClosedMS: now, Reason: string(a.Reason), Settings: t.differ(a.Work),
		}
		r.BytesUp, r.BytesDown = t.traffic()
		s, err := t.sealed(r, prev)
		if err != nil {
			return nil, err
		}
		out, prev = append(out, s), s.Hash
	}
	return out, nil
}

// sealed fills in what every record of the task has in common.
func (t *task) sealed(r record.Record, prev model.Hash) (record.Sealed, error) {
	r.Excluded = t.excluded(r.Entries)
	r.Owner, r.Task, r.Origin, r.IDs, r.Prev = t.topics.Node(), t.cfg.Name, t.origin, record.IDsTree, prev
	return r.Seal(t.signer())
}

func (t *task) strategyOf(p round.Params) record.Strategy {
	if !strategy.WorkOf(p.Work).Weighs {
		return record.Strategy{}
	}
	s := record.Strategy{Name: cmp.Or(p.Strategy, strategy.FedAvg), GridB: p.GridB, GridW: p.GridW, Cap: p.Cap, Weights: string(p.Weights), Params: p.StrategyParams}
	s.Guard, s.Thresholds, s.Enrolled = p.Guard, p.Thresholds, p.Enrolled
	if plain, _ := t.sum.registry.ServerSettings(strategy.SGD, nil); p.Server != strategy.SGD || !maps.Equal(plain, p.ServerParams) { // which a record does not say
		s.Server, s.ServerParams = p.Server, p.ServerParams
	}
	return s
}

// excluded are the members that an operator has excluded, but those that were in the
// attempt all the same: it was open by then.
func (t *task) excluded(cohort record.Entries) (out []string) {
	if t.state == nil {
		return nil
	}
	for _, path := range t.state.Excluded {
		if !slices.ContainsFunc(cohort, func(e record.Entry) bool { return e.Member == path }) {
			out = append(out, path)
		}
	}
	return out
}

func (t *task) entries(list []round.Entry) record.Entries {
	out := make(record.Entries, len(list))
	for i, e := range list {
		out[i] = record.Entry{
			Member: e.Member, Index: e.Index, Content: e.Content, Samples: e.Samples, Weight: e.Weight,
			Norm: record.Number(e.Norm), Bytes: e.Bytes, Verdict: e.Verdict, Conflict: e.Conflict, Detail: e.Detail, Staleness: e.Staleness,
		}
		if s := t.sum.in[e.Member]; s != nil && s.content == out[i].Content {
			out[i].Metrics, out[i].Scalars, out[i].Encoding = s.scored(), s.Scalars, s.came
		}
	}
	return out
}

// signer returns the signing key for package record, nil without one.
func (t *task) signer() crypto.Signer {
	if t.a.cfg.Signer == nil {
		return nil
	}
	return t.a.cfg.Signer
}

// recorded follows a record that has become durable: its head goes to the broker, and
// people are told by tellRecords.
func (t *task) recorded(r record.Sealed) {
	t.keeping.took(r)
	if err := t.setHead(r); err != nil {
		t.log.Error().Err(err).Msg("record head")
	}
	t.untold = append(t.untold, r)
}

// tellRecords writes the files of new records and models, and tells people of them, when the
// order that follows is on its way: sites wait for that.
func (t *task) tellRecords() error {
	if err := t.keeping.follow(t.a.store); err != nil {
		return err
	}
	for _, r := range t.untold {
		t.keeping.export(r.Round, r.Attempt, r.Bytes)
		t.telling.recorded(r)
		if t.a.cfg.OnRecord != nil {
			t.a.cfg.OnRecord(t.cfg.Name, r.Record)
		}
	}
	t.untold = nil
	return nil
}

// setHead has the last record's head on the broker.
func (t *task) setHead(r record.Sealed) error {
	head, err := r.Head(t.signer())
	if err != nil {
		return err
	}
	t.published.set(owner.OwnHead, t.topics.Record(), head)
	return nil
}
