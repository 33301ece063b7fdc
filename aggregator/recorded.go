package aggregator

import (
	"bytes"
	"crypto"
	"fmt"
	"math"
	"os"
	"path/filepath"

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
func (t *task) recorded(rnd uint64, attempt uint32, raw []byte) {
	t.export(rnd, attempt, raw)
	head, err := record.HeadOf(raw, t.signer())
	if err != nil {
		t.log.Error().Err(err).Msg("record head")
		return
	}
	r, err := record.Decode(raw)
	if err != nil {
		t.log.Error().Err(err).Msg("record")
		return
	}
	t.set(ownHead, t.topics.Record(), head)
	t.headDue = true // unless the next order's publication takes it along
	t.note(r)
	t.course(r)
	t.auditRecord(r, raw)
	t.tally.noted(t.last)
	t.log.Info().Uint64("round", r.Round).Uint32("attempt", r.Attempt).Str("work", r.Work).Str("verdict", r.Verdict).
		Int("counted", r.Counts()["counted"]).Int("members", len(r.Entries)).Msg("round recorded")
	t.sayMissing(r)
	t.remark(r)
	if t.a.cfg.OnRecord != nil {
		t.a.cfg.OnRecord(t.cfg.Name, r)
	}
	t.kpis()
}

// export writes a record's exact bytes to records/<task>/<round>-<attempt>.json
// for people and their tools; state.db holds the record, so a failure is only
// told.
func (t *task) export(rnd uint64, attempt uint32, raw []byte) {
	t.exportFile(filepath.Join(t.cfg.Name, fmt.Sprintf("%06d-%d.json", rnd, attempt)), raw)
}

// exportDescription writes records/<task>.json, without which the blobs say
// nothing of shapes.
func (t *task) exportDescription(about []byte) { t.exportFile(t.cfg.Name+".json", about) }

// exportFile writes a file below records/, whole or not at all.
func (t *task) exportFile(name string, b []byte) {
	name = filepath.Join(t.a.cfg.DataDir, "records", name)
	if had, err := os.ReadFile(name); err == nil && bytes.Equal(had, b) { // #nosec G304 -- below the data directory
		return
	}
	tmp := name + ".tmp"
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = os.WriteFile(tmp, b, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		t.tally.exports++
		t.log.Warn().Err(err).Str("file", name).Msg("record not exported; it is safe in state.db")
	}
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

func (t *task) note(r record.Record) {
	t.last = summary{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Reason: r.Reason,
		Counted: r.Counts()["counted"], Kept: r.Counts()["kept"], Members: len(r.Entries),
		Seconds: float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS) / 1000,
		Metrics: map[string]float64{}, at: r.ClosedMS, bytesUp: r.BytesUp, bytesDown: r.BytesDown,
	}
	for name, m := range r.Metrics {
		if v := float64(m.Value); !math.IsNaN(v) {
			t.last.Metrics[name] = v
		}
	}
	for _, x := range r.Remarks() {
		t.last.Remarks = append(t.last.Remarks, x.Text)
	}
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
		t.publishPast(now)
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
