package aggregator

import (
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
)

// sayMissing names the members that were welcomed and asked, and sent nothing that
// arrived before the attempt ended: a broker drops what its access list denies, and
// tells nobody.
func (t *task) sayMissing(r record.Record) {
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
