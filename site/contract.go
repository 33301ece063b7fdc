package site

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// contractOf is what a join says of the trainer's contract; nil: nothing. That it is too
// long for that is logged once.
func (s *site) contractOf(t *task) json.RawMessage {
	c := trainer.ContractOf(t.Trainer)
	if c == nil {
		return nil
	}
	if err := c.Travels(); err != nil {
		if !t.untold {
			t.untold = true
			s.cfg.Log.Warn().Str("task", t.Name).Err(err).
				Msg("the trainer's contract is too long to be told to the aggregator: nobody compares what this site means by the model with the task's; shorter names or fewer texts of inputs and classes mend that")
		}
		return nil
	}
	return c.JSON()
}

// agreed takes the contract that came with a model. One that cannot be read is of a
// later version: then only its hash is compared.
func (t *task) agreed(d wire.Distribution) {
	var raw json.RawMessage
	switch d := d.(type) {
	case wire.Model:
		raw = d.Contract
	case wire.Manifest:
		raw = d.Contract
	}
	if c, err := pipeline.Parse(slices.Clone(raw)); raw != nil && err == nil {
		t.contract = c
	}
}

// disagrees says how the trainer's contract differs from the order's, if it does (S-52).
func (s *site) disagrees(a *assignment) *member.Finished {
	t, own := a.task, trainer.ContractOf(a.task.Trainer)
	if own == nil || trainer.Follows(t.Trainer) || a.job.Contract.IsZero() || a.job.Contract == own.Hash() {
		return nil
	}
	why := fmt.Sprintf("the order has the contract %s, this site %x", a.job.Contract, own.Hash())
	if t.contract != nil && a.job.Contract == t.contract.Hash() {
		why = strings.Join(pipeline.Differences(s.cfg.Member, own, t.contract), "; ")
	}
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", a.job.Round).Str("reason", wire.DeclineContract).Str("detail", why).
		Msg("no update: the model means something else than this site's trainer")
	return &member.Finished{ID: a.job.ID, Reason: wire.DeclineContract, Detail: why}
}

// tooSlow logs that the aggregator says so; it does once, until an update counts.
func (s *site) tooSlow(t *task, r wire.RefusalReply) {
	if r.Reason == "stale_round" && r.Content.IsZero() {
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", r.Round).Str("reason", r.Reason).Str("detail", clip(r.Detail)).Msg("training takes longer than the task lets it")
	}
}

// differs logs once that the aggregator refuses this site's contract, with what it is.
func (s *site) differs(t *task, r wire.RefusalReply) {
	own := trainer.ContractOf(t.Trainer)
	if r.Reason != wire.DeclineContract || r.Detail == t.differs || own == nil {
		return
	}
	t.differs = r.Detail
	s.cfg.Log.Error().Str("task", t.Name).Str("reason", r.Reason).Str("detail", r.Detail).
		Strs("features", own.Names()).Strs("classes", own.Target.Classes).Msg("refused: the model means something else than this site's trainer")
}
