package aggregator

import (
	"math"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
)

// workInit is the work of record 0.
const workInit = "init"

// summary is what is shown of the last record.
type summary struct {
	view.Summary
	at                 int64 // when it was closed
	bytesUp, bytesDown int64
}

func summarize(r record.Record) summary {
	s := summary{at: r.ClosedMS, bytesUp: r.BytesUp, bytesDown: r.BytesDown, Summary: view.Summary{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Reason: r.Reason,
		Counted: r.Counts()["counted"], Kept: r.Counts()["kept"], Members: len(r.Entries),
		Seconds: float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS) / 1000, Metrics: map[string]float64{}, Shown: r.Shown, Guess: r.Guess,
	}}
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
