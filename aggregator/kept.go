package aggregator

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// entry is one verdict as it stands in the journal. Of an update that is kept
// on disk it says what the blob does not.
type entry struct {
	round.Verdict
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// journal encodes a verdict.
func (t *task) journal(v round.Verdict) ([]byte, error) {
	e := entry{Verdict: v}
	if s := t.sum.inbox[contentKey{v.Member, v.Content}]; s != nil && t.cfg.KeepUpdates != KeepNone {
		e.Metrics = s.metrics
	}
	return json.Marshal(e)
}

// remember notes whose updates of the open round were kept: they are accepted
// again from disk, once the machine has started.
func (t *task) remember(journal []entry) {
	for _, e := range journal {
		t.keeping.kept[e.Content] = true
		if e.Round != t.state.Round || e.Attempt < t.state.ValidFrom || t.cfg.KeepUpdates == KeepNone {
			continue
		}
		if e.Reason == verdict.Counted || e.Reason == verdict.Lost {
			t.again = slices.DeleteFunc(t.again, func(o entry) bool { return o.Member == e.Member })
		}
		if e.Reason == verdict.Counted {
			t.again = append(t.again, e)
		}
	}
}

// acceptAgain offers the machine one update after the other that was accepted
// before the restart. What is missing or torn is left to its site, which
// offers it again.
func (t *task) acceptAgain() error {
	for len(t.again) > 0 {
		e := t.again[0]
		t.again = t.again[1:]
		s := &staged{content: e.Content, samples: e.Samples, metrics: e.Metrics, bytes: e.Bytes, onDisk: true}
		if err := t.readKept(s); err != nil {
			t.log.Info().Err(err).Str("member", e.Member).Msg("kept update not usable; its site offers it again")
			continue
		}
		problem, detail, norm, err := t.sum.check(s)
		if err != nil {
			continue
		}
		t.sum.await(e.Member, s)
		t.step(round.Update{
			Member: e.Member, Round: e.Round, Attempt: e.Attempt, Base: t.state.Base, Content: e.Content,
			Samples: e.Samples, Problem: problem, Detail: detail, Norm: norm, Bytes: e.Bytes,
		})
		if err := t.work(); err != nil {
			return err
		}
		crash.At("kept.mid")
	}
	return nil
}

var errOther = errors.New("other content than the journal says")

// readKept reads what is on disk of a kept update: its blob, or nothing but
// the metrics in the journal.
func (t *task) readKept(s *staged) error {
	if schema := t.want(); len(schema) > 0 {
		return t.sum.borrow(s, schema)
	}
	if (wire.Update{Samples: s.samples, Metrics: s.metrics}).Content() != s.content {
		return errOther
	}
	return nil
}
