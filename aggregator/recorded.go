package aggregator

import (
	"crypto"
	"fmt"
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
	if err := t.export(rnd, attempt, raw); err != nil {
		t.log.Warn().Err(err).Msg("record not exported; it is safe in state.db")
	}
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
	t.note(r)
	t.log.Info().Uint64("round", r.Round).Uint32("attempt", r.Attempt).Str("work", r.Work).Str("verdict", r.Verdict).
		Int("counted", r.Counts()["counted"]).Int("members", len(r.Entries)).Msg("round recorded")
	if t.a.cfg.OnRecord != nil {
		t.a.cfg.OnRecord(t.cfg.Name, r)
	}
	if t.a.up && t.a.started {
		t.a.conn.Post(t.own[ownHead].message())
		t.kpis(r)
	}
}

// export writes a record's exact bytes to records/<task>/<round>-<attempt>.json
// for people and their tools; state.db holds the record.
func (t *task) export(rnd uint64, attempt uint32, raw []byte) error {
	dir := filepath.Join(t.a.cfg.DataDir, "records", t.cfg.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("%06d-%d.json", rnd, attempt))
	if info, err := os.Stat(name); err == nil && info.Size() == int64(len(raw)) {
		return nil
	}
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// summary is what is shown of the last record.
type summary struct {
	Round   uint64             `json:"round"`
	Attempt uint32             `json:"attempt"`
	Work    string             `json:"work"`
	Verdict string             `json:"verdict"`
	Reason  string             `json:"reason"`
	Counted int                `json:"counted"`
	Members int                `json:"members"`
	Seconds float64            `json:"seconds"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // of the round's base
}

func (t *task) note(r record.Record) {
	t.last = summary{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Reason: r.Reason,
		Counted: r.Counts()["counted"], Members: len(r.Entries),
		Seconds: float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS) / 1000,
		Metrics: map[string]float64{},
	}
	for name, m := range r.Metrics {
		t.last.Metrics[name] = float64(m.Value)
	}
}

// kpis publishes the numbers of a record, one retained topic each.
func (t *task) kpis(r record.Record) {
	put := func(name string, v float64) {
		t.a.conn.Post(link.Message{
			Topic: t.topics.KPI(name), QoS: 1, Retained: true,
			Payload: jsonOf(struct {
				TimestampMS int64   `json:"timestamp_ms"`
				Value       float64 `json:"value"`
			}{t.a.nowMS(), v}),
		})
	}
	for name, v := range t.last.Metrics {
		put(name, v)
	}
	put("round", float64(r.Round))
	put("sites", float64(t.last.Counted))
	put("round_seconds", t.last.Seconds)
}

// traffic returns the payload bytes since the last record, up and down.
func (t *task) traffic() (up, down int64) {
	up, down = t.counts.bytesUp, t.counts.bytesDown
	t.counts.bytesUp, t.counts.bytesDown = 0, 0
	return up, down
}

// tend looks after everything that is not owed to the machine.
func (t *task) tend() {
	now := t.a.nowMS()
	if err := t.mend(now); err != nil {
		t.log.Error().Err(err).Msg("order not published")
	}
	if t.viewDue && t.a.up && now-t.viewAt >= viewEvery.Milliseconds() {
		t.viewDue, t.viewAt = false, now
		t.view(now)
	}
	t.end()
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
	if t.a.cfg.OnEnd != nil {
		t.a.cfg.OnEnd(t.cfg.Name, t.state.Finished, t.state.Reason)
	}
}
