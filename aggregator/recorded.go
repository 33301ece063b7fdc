package aggregator

import (
	"crypto"
	"math"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
)

// signer returns the signing key for package record, nil without one.
func (t *task) signer() crypto.Signer {
	if t.a.cfg.Signer == nil {
		return nil
	}
	return t.a.cfg.Signer
}

// recorded follows a record that has become durable: its file, its head on the
// broker, the numbers for people.
func (t *task) recorded(r record.Sealed) {
	t.keeping.took(r)
	if err := t.showHead(r); err != nil {
		t.log.Error().Err(err).Msg("record head")
		return
	}
	t.headDue = true // unless the next order's publication takes it along
	t.curve.due = t.curve.due || r.Verdict == record.Committed && r.Round > 0
	t.auditRecord(r)
	t.tally.noted(t.last)
	t.log.Info().Uint64("round", r.Round).Uint32("attempt", r.Attempt).Str("work", r.Work).Str("verdict", r.Verdict).
		Int("counted", r.Counts()["counted"]).Int("members", len(r.Entries)).Msg("round recorded")
	t.sayMissing(r.Record)
	t.remark(r.Record)
	if t.a.cfg.OnRecord != nil {
		t.a.cfg.OnRecord(t.cfg.Name, r.Record)
	}
	t.kpis()
}

// showHead has the last record's head on the broker, and its numbers in views.
func (t *task) showHead(r record.Sealed) error {
	head, err := r.Head(t.signer())
	if err != nil {
		return err
	}
	t.set(ownHead, t.topics.Record(), head)
	t.last = summarize(r.Record)
	return nil
}

// summary is what is shown of the last record.
type summary struct {
	Round   uint64             `json:"round"`
	Attempt uint32             `json:"attempt"`
	Work    string             `json:"work"`
	Verdict string             `json:"verdict"`
	Reason  string             `json:"reason"`
	Counted int                `json:"counted"`
	Kept    int                `json:"kept,omitempty"` // accepted in an attempt that came to nothing, for the next one
	Members int                `json:"members"`
	Seconds float64            `json:"seconds"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // of the round's base
	Remarks []string           `json:"remarks,omitempty"` // what these numbers do not show

	at                 int64 // when it was closed
	bytesUp, bytesDown int64
}

func summarize(r record.Record) summary {
	s := summary{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Reason: r.Reason,
		Counted: r.Counts()["counted"], Kept: r.Counts()["kept"], Members: len(r.Entries),
		Seconds: float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS) / 1000,
		Metrics: map[string]float64{}, at: r.ClosedMS, bytesUp: r.BytesUp, bytesDown: r.BytesDown,
	}
	for name, m := range r.Metrics {
		if v := float64(m.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
			s.Metrics[name] = v
		}
	}
	for _, x := range r.Remarks() {
		s.Remarks = append(s.Remarks, x.Text)
	}
	return s
}

// remark logs what a record's numbers do not show, each matter once: it is in
// the status of every round.
func (t *task) remark(r record.Record) {
	for _, x := range r.Remarks() {
		if !t.remarked[x.Key] {
			t.remarked[x.Key] = true
			t.log.Warn().Uint64("round", r.Round).Msg(x.Text)
		}
	}
}

// kpi is one number on its own topic, in the form that UNS tools expect.
type kpi struct {
	TimestampMS int64   `json:"timestamp_ms"`
	Value       float64 `json:"value"`
}

// kpis publishes the numbers of the last record, one retained topic each.
func (t *task) kpis() {
	if !t.a.up || !t.a.started || t.last.Work == workInit {
		return
	}
	put := func(name string, v float64) {
		t.a.conn.Post(link.Message{
			Topic: t.topics.KPI(name), QoS: 1, Retained: true, Payload: jsonOf(kpi{t.last.at, v}),
		})
	}
	for name, v := range t.last.Metrics {
		put(name, v)
	}
	put("round", float64(t.last.Round))
	put("sites", float64(t.last.Counted))
	put("round_seconds", t.last.Seconds)
	put("bytes_up", float64(t.last.bytesUp))
	put("bytes_down", float64(t.last.bytesDown))
}

// sent and received count payload bytes, for the next record and since the start.
func (t *task) sent(n int) {
	t.counts.bytesDown += int64(n)
	t.tally.down += uint64(n) // #nosec G115 -- a length
}

func (t *task) received(n int) {
	t.counts.bytesUp += int64(n)
	t.tally.up += uint64(n) // #nosec G115 -- a length
}

// traffic returns the payload bytes since the last record, up and down.
func (t *task) traffic() (up, down int64) {
	up, down = t.counts.bytesUp, t.counts.bytesDown
	t.counts.bytesUp, t.counts.bytesDown = 0, 0
	return up, down
}

// tend looks after everything that is not owed to the machine: retained
// topics, an order without its PUBACK, views.
func (t *task) tend() error {
	now := t.a.nowMS()
	if t.a.up {
		if t.headDue {
			t.headDue = false
			t.a.conn.Post(t.own[ownHead].message())
		}
		for i := range t.own {
			if !t.flying { // else a publication brings what should be there, in its order
				t.own[i].mend(t.a, now)
			}
		}
		if at := t.retryAt(); at > 0 && now >= at && t.state.Order != nil {
			if err := t.publish(*t.state.Order); err != nil {
				return err
			}
		}
		if t.viewDue && now-t.viewAt >= viewEvery.Milliseconds() {
			t.view(now)
		}
		t.publishCurve(now)
	}
	t.end()
	return t.forgetStale()
}

// end reports once that the task is over.
func (t *task) end() {
	over := t.state.Phase == round.Halted && (t.state.Finished || t.state.Stopped)
	if !over {
		t.ended = false
		return
	}
	if t.ended || !t.published {
		return
	}
	t.ended = true
	t.view(t.a.nowMS())
	t.log.Info().Bool("finished", t.state.Finished).Str("reason", t.state.Reason).Msg("task ended")
	t.a.show()
	if t.a.cfg.OnEnd != nil {
		t.a.cfg.OnEnd(t.cfg.Name, t.state.Finished, t.state.Reason)
	}
}
