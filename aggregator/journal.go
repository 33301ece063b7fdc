package aggregator

import (
	"encoding/json"
	"errors"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
)

// entry is one verdict as it stands in the journal. Of an update that is kept
// on disk it says what the blob does not.
type entry struct {
	round.Verdict
	measured
	Encoding string `json:"encoding,omitempty"` // of its bytes
}

// journal encodes a verdict.
func (t *task) journal(v round.Verdict) ([]byte, error) {
	e := entry{Verdict: v}
	if s := t.sum.held[owner.Key{Member: v.Member, Content: v.Content}]; s != nil && t.cfg.KeepUpdates != KeepNone {
		e.measured, e.Encoding = s.measured, s.came
	}
	return json.Marshal(e)
}

// remember notes what the journal of the open round says of updates on disk. They
// are accepted again once the machine has started.
func (t *task) remember(journal []entry) (verdicts []round.Verdict) {
	t.remembered = map[owner.Key]entry{}
	for _, e := range journal {
		verdicts = append(verdicts, e.Verdict)
		t.keeping.onDisk[e.Content] = true
		t.remembered[owner.Key{Member: e.Member, Content: e.Content}] = e
	}
	return verdicts
}

var errOther = errors.New("other content than the journal says")
