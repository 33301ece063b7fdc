package aggregator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// releaseEarly has the canary of the state on the broker, and nothing where there is none.
func (t *task) releaseEarly() {
	k := t.state.Canary
	if k == nil {
		t.withdrawEarly()
		return
	}
	of := round.Released{Version: k.Version, Model: k.Model}
	if e := &t.published.early; e.of == of && e.began == k.BeganMS {
		return
	}
	l, err := t.linesOf(of, t.published.topics.Canary())
	if err != nil {
		t.published.early = lines{of: of, began: k.BeganMS}
		t.log.Error().Err(err).Uint64("version", k.Version).Msg("the canary cannot be published")
		return
	}
	t.published.early.shelf.withdraw()
	l.to, l.began = k.To, k.BeganMS
	t.published.early = l
	t.step(owner.Release{Own: owner.OwnCanary, Version: k.Version, Model: owner.Model{Content: k.Model, Blob: l.blob}})
}

// withdrawEarly clears what a canary that has ended left on the broker, once.
func (t *task) withdrawEarly() {
	if !t.earlyLeft || t.withdraws {
		return
	}
	t.withdraws = true
	t.published.early.shelf.withdraw()
	t.published.early, t.published.own[owner.OwnCanary] = lines{}, link.Message{}
	parts := 0
	if t.blob.Length > 0 {
		parts = t.blob.Count() // of any version
	}
	t.step(owner.Withdraw{Parts: parts})
}

func (t *task) canaryKey() string { return store.Key(t.cfg.Name, "canary") }

// saveEarly notes that a canary may be on the broker, before it is, and that none is.
func (t *task) saveEarly(tx *store.Tx, s owner.Save) error {
	switch {
	case s.State != nil && s.State.Canary != nil:
		t.withdraws = false
		if t.earlyLeft {
			return nil
		}
		t.earlyLeft = true
		return tx.Put(store.Task, t.canaryKey(), []byte("1"))
	case s.Withdrawn && t.withdraws:
		t.earlyLeft, t.withdraws = false, false
		return tx.Delete(store.Task, t.canaryKey())
	}
	return nil
}

func (t *task) loadEarly() error {
	return t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.Get(store.Task, t.canaryKey())
		t.earlyLeft = len(raw) > 0
		return err
	})
}

// triedEarly holds the base of a round that closes against the released version, over the
// members that the canary's filters match. Nil: nothing of it decides.
func (t *task) triedEarly(s *round.Score) *round.Tried {
	k := t.state.Canary
	if k == nil || s == nil || t.cfg.Release == nil || t.state.Version < k.Version {
		return nil
	}
	paths := make([]string, len(t.state.Cohort))
	for i, m := range t.state.Cohort {
		paths[i] = t.m.Round().Path(m)
	}
	now, asked := t.measured().matching(k, paths)
	if !enough(now, asked) {
		return nil
	}
	return t.beside(s, asked, now)
}

// wouldHold is what the members that filters match have measured of a version; nil: it is
// not known. asked are so many members.
func (t *task) wouldHold(version uint64, to []string) (tried *round.Tried, asked int) {
	var paths []string
	for _, m := range t.m.Round().Members() {
		if !m.Left {
			paths = append(paths, m.Path)
		}
	}
	now, asked := t.evaluated[version].matching(&round.Canary{To: to}, paths)
	s := t.scoreKind()
	if s == nil || t.cfg.Release == nil || !enough(now, asked) {
		return nil, asked
	}
	return t.beside(s, asked, now), asked
}

// matching is what those of the members at paths have measured that are to run a canary,
// and how many these are.
func (e evaluations) matching(k *round.Canary, paths []string) (of evaluations, asked int) {
	of = evaluations{}
	for _, p := range paths {
		if !k.Matches(p) {
			continue
		}
		asked++
		if m, ok := e[p]; ok && m.evaluation().Metrics[trainer.SumN] > 0 {
			of[p] = m
		}
	}
	return of, asked
}

// enough reports whether half of the members that were asked have measured.
func enough(measured evaluations, asked int) bool {
	return len(measured) > 0 && 2*len(measured) >= asked
}

// scoreKind is by what versions are compared, as the last record says.
func (t *task) scoreKind() *round.Score {
	name := t.last.Summary.Shown
	if t.cfg.Stop != nil {
		name = cmp.Or(t.cfg.Stop.Metric, name)
	}
	return t.cfg.scoreBy(name)
}

// heardUse takes the status of a consumer: that it could not take the canary.
func (t *task) heardUse(path string, payload []byte) {
	var c view.Consumer
	if len(payload) > maxStatus || json.Unmarshal(payload, &c) != nil || c.Schema != view.ConsumerSchema || c.Failed == nil || c.Failed.From != wire.KindCanary {
		return
	}
	f := c.Failed
	t.step(owner.Said{Event: round.Untaken{Path: path, Version: f.Version, BeganMS: f.BeganMS, Why: view.Line(f.Why, maxWhy)}})
}

// maxStatus bounds the JSON that is looked at.
const maxStatus = 16 << 10

// maxWhy bounds what a node has sent as its reason, in bytes.
const maxWhy = 160

// canariesOf are those of the round that closes: those that ended in it, and the one that
// runs, or fails by what its members have measured just now.
func canariesOf(s *round.State, tried *round.Tried) (list []record.Canary) {
	for _, e := range s.Canaries {
		if e.Round != s.Round {
			continue
		}
		state := record.CanaryStopped
		if e.Released {
			state = record.CanaryReleased
		}
		list = append(list, record.Canary{Version: e.Version, To: slices.Clone(e.To), State: state, Why: e.Why})
	}
	if k := s.Canary; k != nil && tried != nil && !tried.Passed && s.Version == k.Version {
		list = append(list, record.Canary{Version: k.Version, To: slices.Clone(k.To), State: record.CanaryStopped, Why: tried.Why})
	} else if k != nil {
		list = append(list, record.Canary{Version: k.Version, To: slices.Clone(k.To), State: record.CanaryRuns, Why: fmt.Sprintf("%d evaluations have passed", k.Passed)})
	}
	return list
}
