package aggregator

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
)

// recorded tells of a record that has become durable.
func (t *telling) recorded(r record.Sealed) {
	t.last = summarize(r.Record)
	if len(t.last.Metrics) > 0 {
		t.measured = t.last
	}
	t.curve.due = t.curve.due || r.Verdict == record.Committed && r.Round > 0
	t.auditRecord(r)
	t.tally.noted(t.last)
	t.log.Info().Uint64("round", r.Round).Uint32("attempt", r.Attempt).Str("work", r.Work).Str("verdict", r.Verdict).
		Int("counted", r.Counts()["counted"]).Int("members", len(r.Entries)).Msg("round recorded")
	t.sayMissing(r.Record)
	t.remark(r.Record)
	t.numbers.due = true
	t.publishKPIs(t.by.nowMS())
}

// sayMissing names the members that were welcomed and asked, and sent nothing that
// arrived before the attempt ended: a broker drops what its access list denies, and
// tells nobody.
func (t *telling) sayMissing(r record.Record) {
	var names []string
	n := 0
	for _, e := range r.Entries {
		if e.Verdict != verdict.Missing {
			continue
		}
		if n++; len(names) < named {
			names = append(names, e.Member)
		}
	}
	if n == 0 {
		return
	}
	t.log.Warn().Uint64("round", r.Round).Uint32("attempt", r.Attempt).Int("silent", n).Strs("members", names).
		Msg("these members were welcomed and sent no update in this attempt: they may be slow or gone, or the broker's access list denies what they write; fedmq doctor -c with a member's configuration tells")
}

// remark logs what a record's numbers do not show, each matter once: it is in
// the status of every round.
func (t *telling) remark(r record.Record) {
	for _, x := range r.Remarks() {
		if t.once(x.Key) {
			t.log.Warn().Uint64("round", r.Round).Msg(x.Text)
		}
	}
}

// once reports whether it is asked for key the first time.
func (t *telling) once(key string) bool {
	was := t.remarked[key]
	t.remarked[key] = true
	return !was
}

// kpisDue is when the numbers want to be published, 0 for never: at once, but in rounds
// that are faster those of the last one each second.
func (t *telling) kpisDue() int64 {
	switch {
	case !t.numbers.due || !t.by.live() || t.last.Work == workInit:
		return 0
	case t.of.current().Phase == round.Halted:
		return 1
	}
	return max(t.numbers.at+viewEvery.Milliseconds(), 1)
}

// publishKPIs publishes the numbers of the last record, one retained topic each.
func (t *telling) publishKPIs(now int64) {
	if at := t.kpisDue(); at == 0 || now < at {
		return
	}
	t.numbers.due, t.numbers.at = false, now
	put := func(name string, v float64) {
		t.by.post(link.Message{
			Topic: t.topics.KPI(name), QoS: 1, Retained: true, Payload: view.JSON(view.KPI{TimestampMS: t.last.at, Value: v}),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(t.last.Metrics)) {
		put(name, t.last.Metrics[name])
	}
	put("round", float64(t.last.Round))
	put("sites", float64(t.last.Counted))
	put("round_seconds", t.last.Seconds)
	put("bytes_up", float64(t.last.bytesUp))
	put("bytes_down", float64(t.last.bytesDown))
}
