package watch

import "github.com/fedmq/fedmq/internal/view"

// past takes in the rounds of before this watcher came. What it has seen itself
// says more, and stays.
func (f *Federation) past(t *task, m Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	var h view.History
	if err := read(m.Payload, &h, &h.Schema, view.HistorySchema); err != nil {
		return err
	}
	t.past = true
	n := min(len(h.Rounds), len(h.Attempts), len(h.Works), len(h.Counted), len(h.Members), len(h.Seconds), MaxRounds)
	metrics := clipNames(h.Metrics)
	for i := range n {
		if t.find(h.Rounds[i], uint64(h.Attempts[i])) != nil {
			continue
		}
		r := f.entry(t, h.Rounds[i], uint64(h.Attempts[i]))
		if r == nil {
			continue // older than all that is kept
		}
		r.Work, r.Verdict = clip(h.Works[i], maxWord), "committed"
		r.Counted, r.Members, r.Seconds = h.Counted[i], h.Members[i], h.Seconds[i]
		for name, column := range metrics {
			if i < len(column) && column[i] != nil {
				if r.Metrics == nil {
					r.Metrics = map[string]float64{}
				}
				r.Metrics[name] = *column[i]
			}
		}
	}
	return nil
}
