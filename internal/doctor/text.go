package doctor

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Text is the report as a table for people, the advice below it.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, measured below %s in %.0f s\n\n", r.Broker, r.Node, r.Seconds)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var cures strings.Builder
	for _, row := range r.rows() {
		mark, cure := r.judge(row[0])
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, row[0], row[1])
		if cure != "" && mark == markBad {
			fmt.Fprintf(&cures, "BAD %s: %s\n", row[0], cure)
		}
	}
	_ = w.Flush() // into memory
	if cures.Len() > 0 {
		b.WriteString("\n" + cures.String())
	}
	if r.Advice.Usable {
		fmt.Fprintf(&b, "\nadvice: part_size: %d\n", r.Advice.PartSize)
	} else {
		b.WriteString("\nfedmq cannot use this broker as it is\n")
	}
	for _, s := range r.Advice.Problems {
		fmt.Fprintf(&b, "! %s\n", s)
	}
	for _, s := range r.Advice.Notes {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	return b.String()
}

func (r *Report) rows() [][2]string {
	return [][2]string{
		{"it announces", r.Announced.text()},
		{"somebody reads everything", r.Historian},
		{"names of plants", r.names()},
		{"round trip", fmt.Sprintf("%.1f ms", r.RoundTripMS)},
		{"messages in a row", fmt.Sprintf("the second comes %.1f ms after the first", r.InARowMS)},
		{"packet limit", size(r.PacketBytes, r.PacketAtLeast)},
		{"retained, exact topic, QoS 0", r.Retained.parts(r.Retained.QoS0)},
		{"retained, exact topic, QoS 1", r.Retained.parts(r.Retained.QoS1)},
		{"retained, largest packet", size(r.Retained.Bytes, r.Retained.AtLeast)},
		{"retained, through a wildcard", of(r.Retained.Wildcard, r.Retained.WildcardOf)},
		{"retain flag", flag(r.Retained.Flag, r.LiveFlag)},
		{"retained, after a restart", r.restarted()},
		{"Last Will", will(r.Will, r.WillRetained)},
		{"order, subscriber keeps up", r.Order.text()},
		{"queue, subscriber is busy", r.Queue.text()},
		{"session resumed", yes(r.Session)},
		{"shared subscriptions", yes(r.Shared)},
		{"QoS 2", yes(r.QoS2)},
		{"writes beside the own node", string(r.Access.Write)},
		{"wildcard over other nodes", string(r.Access.Wildcard)},
		{"Will beside the own node", string(r.Access.Will)},
	}
}

func (r Retained) parts(n int) string {
	return fmt.Sprintf("%s parts of %s", of(n, r.Of), size(r.PartBytes, false))
}

func (r *Report) restarted() string {
	if r.RestartKept == nil {
		return "not tried (--restart)"
	}
	return of(*r.RestartKept, filtersPerSub)
}

func (t Tally) text() string {
	s := of(t.Arrived, t.Of)
	if t.Acked > t.Arrived {
		s += fmt.Sprintf(", %d acknowledged", t.Acked)
	}
	if t.Late > 0 {
		s += fmt.Sprintf(", %d late", t.Late)
	}
	if t.Twice > 0 {
		s += fmt.Sprintf(", %d twice", t.Twice)
	}
	return s
}

func size(n int, atLeast bool) string {
	s := fmt.Sprintf("%d bytes", n)
	if atLeast {
		s += " or more"
	}
	return s
}

func of(n, all int) string { return fmt.Sprintf("%d of %d", n, all) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func flag(retained, live bool) string {
	switch {
	case live:
		return "on live messages too"
	case retained:
		return "kept"
	}
	return "lost"
}

func will(live, retained bool) string {
	switch {
	case live && retained:
		return "sent and retained"
	case live:
		return "sent, not retained"
	}
	return "not sent"
}
