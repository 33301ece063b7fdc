package owner

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
)

// heldFor is how long a verdict waits for those of others: updates come close together, and
// to make one verdict durable takes as long as to make all so. Nobody waits for a receipt.
const heldFor = 20

// held is verdicts that are not durable yet, and what is said of them, which leaves when
// they are. Those of a round that closes wait for its record: one transaction in place of
// two that all sites wait for. Where updates are kept only these do: a verdict is what
// names a file that is there already.
type held struct {
	Ready
	kept  bool
	until int64 // 0: there are none, or they wait for a record
}

// hold keeps what may wait of what is owed. All else that is saved or said takes along
// what was held before it: nothing is told on the strength of a verdict that could be lost.
func (h *held) hold(rd *Ready, now int64) {
	alone := rd.verdictsAlone()
	switch {
	case alone && rd.Commit != nil:
		h.keep(rd)
		h.until = 0
	case alone && !h.kept && rd.receiptsAlone() && (h.until == 0 || now < h.until):
		if h.keep(rd); h.until == 0 {
			h.until = now + heldFor
		}
	case h.until > 0 && rd.Commit != nil && rd.Save.Empty() && rd.receiptsAlone():
		h.keep(rd)
		h.until = 0
	case h.until > 0 && (now >= h.until || !rd.Save.Empty() || len(rd.Send) > 0):
		h.release(rd)
	}
}

// keep takes over what is to be saved and said.
func (h *held) keep(rd *Ready) {
	h.Save.Merge(rd.Save.Save)
	h.Send = append(h.Send, rd.Send...)
	rd.Save, rd.Send = Save{}, nil
}

// release puts it in front of what is owed.
func (h *held) release(rd *Ready) {
	h.Save.Merge(rd.Save.Save)
	rd.Save.Save, rd.Send = h.Save.Save, append(h.Send, rd.Send...)
	*h = held{kept: h.kept}
}

// verdictsAlone reports whether verdicts are to be saved, and nothing that others build on.
func (r *Ready) verdictsAlone() bool {
	s := &r.Save
	return len(s.Verdicts) > 0 && s.State == nil && len(s.Members)+len(s.Records) == 0 && !s.DropJournal && !s.Committed && !s.Cleared
}

// receiptsAlone reports whether all that is said is receipts of verdicts that are saved with
// it, and what people are told of it. Who is refused has work to do, and is told at once.
func (r *Ready) receiptsAlone() bool {
	if slices.ContainsFunc(r.Save.Verdicts, func(v round.Verdict) bool { return v.Reason != verdict.Counted }) {
		return false
	}
	for _, m := range r.Send {
		switch m := m.(type) {
		case Tell:
		case Reply:
			if !slices.ContainsFunc(r.Save.Verdicts, func(v round.Verdict) bool { return v.Member == m.Member }) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
