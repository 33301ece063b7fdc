package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// loadTask reads a task back from disk, or makes its genesis.
func (a *aggregator) loadTask(cfg Task) (*task, owner.TaskConfig, error) {
	var oc owner.TaskConfig
	o, err := a.cfg.topicsOf(a.ns, cfg.Name)
	if err != nil {
		return nil, oc, err
	}
	t := &task{
		a: a, cfg: cfg, topics: o, log: a.log.With().Str("task", cfg.Name).Logger(), unable: map[string]bool{},
	}
	t.published = newPublication(o, a.cfg.PartSize, t.seal, a.nowMS)
	t.keeping, t.telling = newKeeping(a.store, a.cfg.DataDir, &a.holdings, cfg, t.log), newTelling(t, a, cfg.Name, o, t.log)
	if err := t.parseMembers(); err != nil {
		return nil, oc, err
	}
	t.sum = newSum(a.cfg.Strategies, a.store, a.release)
	t.sum.root = t.rootOrNothing
	t.schema, t.mostBody = cfg.Init.Schema.Hash(), mostBody(cfg.Init.Schema)
	if err := errors.Join(t.checkSchema(), t.loadOrigin()); err != nil {
		return nil, oc, err
	}
	if oc, err = t.load(); err != nil {
		return nil, oc, err
	}
	t.cfg.Init = &model.Model{Schema: t.cfg.Init.Schema} // its bytes are on disk
	return t, oc, nil
}

// load reads what lies on the disk, as the machine wants it.
func (t *task) load() (oc owner.TaskConfig, err error) {
	st, members, journal, err := t.read()
	if err == nil && t.plain {
		if err = t.reidentify(st, members); err == nil {
			st, members, journal, err = t.read()
		}
	}
	if err != nil {
		return oc, err
	}
	if err := t.loadState(); err != nil {
		return oc, err
	}
	rc := t.roundConfig()
	if rc.Thresholds, err = t.guard().Thresholds(t.sum.state); err != nil {
		return oc, err
	}
	if rc.Local, err = localOf(t.sum.registry, t.cfg); err != nil {
		return oc, err
	}
	if err := rc.Validate(); err != nil {
		return oc, err
	}
	if t.state = st; st == nil {
		t.state = rc.First()
	}
	t.state.Stays = t.cfg.Locals.Names(t.cfg.Init.Schema)
	if err := t.agree(t.state); err != nil {
		return oc, err
	}
	if t.state.Phase == round.Open {
		t.cut = wire.Stamp{Round: st.Round, Attempt: st.Attempt + 1}
	}
	oc = owner.TaskConfig{
		Name: t.cfg.Name, Round: rc, State: t.state, Members: members, Journal: t.remember(journal),
		Slots: t.cfg.Slots, Kept: t.cfg.KeepUpdates != KeepNone,
	}
	if oc.Round.Others, err = t.loadSettings(rc.Folding); err != nil {
		return oc, err
	}
	if err := errors.Join(t.loadBase(), t.loadEvaluated(), t.loadEarly()); err != nil {
		return oc, err
	}
	if oc.Stale, err = t.loadLayout(); err != nil {
		return oc, err
	}
	t.blob, err = t.published.cut(t.base, model.LeavesOf(t.base.Blob))
	oc.Model = owner.Model{Content: t.state.Base, Blob: t.blob}
	return oc, err
}

// parseMembers reads the filters of who may join.
func (t *task) parseMembers() error {
	for _, m := range t.cfg.Members {
		f, err := topics.ParseMemberFilter(m)
		if err != nil {
			return err
		}
		t.members = append(t.members, f)
	}
	return nil
}

// read reads state, members and journal; a task that never ran gets record 0.
func (t *task) read() (st *round.State, members []round.Member, journal []entry, err error) {
	if err := t.moveMembers(); err != nil {
		return nil, nil, nil, err
	}
	err = t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.State(t.cfg.Name)
		if err != nil || raw == nil {
			return err
		}
		st = new(round.State)
		if err := json.Unmarshal(raw, st); err != nil {
			return fmt.Errorf("state on disk: %w", err)
		}
		if members, err = t.loadMembers(tx); err != nil {
			return err
		}
		vals, err := tx.Journal(t.cfg.Name)
		if err != nil {
			return err
		}
		for _, v := range vals {
			var e entry
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("journal on disk: %w", err)
			}
			journal = append(journal, e)
		}
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if st == nil {
		return nil, nil, nil, t.genesis()
	}
	return st, members, journal, t.loadRecords(journal)
}

// filters are the standing subscriptions of the task.
func (t *task) filters(ns topics.Namespace) []link.Filter {
	f := []link.Filter{
		{Topic: t.topics.Order(), QoS: 1},
		{Topic: t.topics.Model(), QoS: 1},
		{Topic: t.topics.Released().Model(), QoS: 1},
		{Topic: t.topics.Canary().Model(), QoS: 1},
		{Topic: t.topics.Record(), QoS: 1},
		{Topic: t.topics.Command(), QoS: 1},
	}
	for _, c := range t.cfg.Consumers {
		m, _ := topics.ParseMemberFilter(c) // checked
		f = append(f, link.Filter{Topic: ns.MemberFilterTopic(m, t.cfg.Name, topics.Status), QoS: 1})
	}
	for _, m := range t.members {
		for _, k := range []topics.Kind{topics.Join, topics.Update, topics.Part, topics.Need} {
			for _, topic := range ns.MemberFilterTopics(m, t.cfg.Name, k) {
				f = append(f, link.Filter{Topic: topic, QoS: 1})
			}
		}
	}
	return f
}

// loadTasks reads the tasks back, and makes the machine of them.
func (a *aggregator) loadTasks() error {
	cfg := owner.Config{
		Instance: a.instance, Uploads: a.cfg.Uploads, Rand: a.cfg.Rand, Heeds: a.cfg.Signer != nil || a.cfg.AdoptEpoch,
	}
	for _, t := range a.cfg.Tasks {
		task, oc, err := a.loadTask(t)
		if err != nil {
			return fmt.Errorf("aggregator: task %s: %w", t.Name, err)
		}
		a.tasks[t.Name], a.order, cfg.Tasks = task, append(a.order, task), append(cfg.Tasks, oc)
	}
	a.machine = owner.New(cfg)
	for _, t := range a.order {
		t.m = a.machine.Task(t.cfg.Name)
	}
	return nil
}
