package round_test

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// printReady writes all of a Ready, a line each thing owed, in the order owed.
func printReady(w io.Writer, rd round.Ready) {
	if rd.Empty() && rd.Wake == 0 {
		return
	}
	if rd.Save.DropJournal {
		fmt.Fprintln(w, "  save: drop journal")
	}
	for _, v := range rd.Save.Verdicts {
		fmt.Fprintf(w, "  save: verdict %d.%d %s#%d %s n=%d weight=%d %v%s\n", v.Round, v.Attempt, v.Member, v.Index, text(v.Content[:]), v.Samples, v.Weight, v.Reason, showBehind(v.Staleness))
	}
	if s := rd.Save.State; s != nil {
		fmt.Fprintf(w, "  save: state %s e%d %d.%d %s\n", s.Phase, s.Epoch, s.Round, s.Attempt, flags(s))
	}
	for _, p := range rd.Save.Members {
		fmt.Fprintf(w, "  save: member #%d %s\n", p.Index, p.Member.Path)
	}
	for _, r := range rd.Save.Records {
		fmt.Fprintf(w, "  save: record e%d %d.%d abandoned (%s) %s base=%s\n", r.Epoch, r.Round, r.Attempt, r.Reason, r.Work, text(r.Base[:]))
		printEntries(w, r.Entries)
	}
	if rd.Restart {
		fmt.Fprintln(w, "  fold: begin an empty sum")
	}
	for _, a := range rd.Fold {
		fmt.Fprintf(w, "  fold: %s\n", showAccepted(a))
	}
	for _, msg := range rd.Send {
		fmt.Fprintf(w, "  send: %s\n", showMessage(msg))
	}
	if c := rd.Commit; c != nil {
		fmt.Fprintf(w, "  commit: e%d %d.%d (%s) %s base=%s\n", c.Epoch, c.Round, c.Attempt, c.Reason, c.Work, text(c.Base[:]))
		for _, a := range c.Accepted {
			fmt.Fprintf(w, "    sum: %s\n", showAccepted(a))
		}
		printEntries(w, c.Entries)
	}
	if rd.Wake != 0 {
		fmt.Fprintf(w, "  wake: %v\n", float64(rd.Wake)/1000)
	}
}

func printEntries(w io.Writer, es []round.Entry) {
	for _, e := range es {
		fmt.Fprintf(w, "    %s#%d %v", e.Member, e.Index, e.Verdict)
		if !e.Content.IsZero() {
			fmt.Fprintf(w, " %s n=%d weight=%d%s", text(e.Content[:]), e.Samples, e.Weight, showBehind(e.Staleness))
		}
		if e.Conflict {
			fmt.Fprint(w, " CONFLICT")
		}
		if e.Detail != "" {
			fmt.Fprintf(w, " (%s)", e.Detail)
		}
		fmt.Fprintln(w)
	}
}

func showAccepted(a round.Accepted) string {
	return fmt.Sprintf("%s#%d %s weight=%d%s", a.Member, a.Index, text(a.Content[:]), a.Weight, showBehind(a.Staleness))
}

func showBehind(staleness uint64) string {
	if staleness == 0 {
		return ""
	}
	return fmt.Sprintf(" behind=%d", staleness)
}

func showMessage(msg round.Message) string {
	switch msg := msg.(type) {
	case round.SendOrder:
		return showOrder(msg.Order)
	case round.SendReply:
		return "to " + msg.Member + ": " + showReply(msg.Reply)
	case round.SendAdmit:
		return fmt.Sprintf("admit %s %d.%d %s%s", msg.Member, msg.Round, msg.Attempt, text(msg.Content[:]), showBehind(msg.Staleness))
	case round.SendSettled:
		if msg.Until > msg.Round {
			return fmt.Sprintf("to %s: settled %d to %d %s", msg.Member, msg.Round, msg.Until, text(msg.Content[:]))
		}
		return fmt.Sprintf("to %s: settled %d %s", msg.Member, msg.Round, text(msg.Content[:]))
	case round.SendEvent:
		return "event " + showFact(msg.Fact)
	}
	return fmt.Sprintf("%#v", msg)
}

func showOrder(o round.Order) string {
	s := fmt.Sprintf("order e%d %d.%d %s base=%s v%d", o.Epoch, o.Round, o.Attempt, o.Work, text(o.Base[:]), o.Version)
	if o.Work == wire.WorkNone {
		return s + " (" + o.Reason + ")"
	}
	s += fmt.Sprintf(" valid_from=%d deadline=%d cohort=%d:%x", o.ValidFrom, o.DeadlineMS, o.CohortSize, o.CohortHash[:4])
	if o.Work == wire.WorkTrain {
		s += fmt.Sprintf(" grid=%d/%d cap=%d %s", o.GridB, o.GridW, o.Cap, o.Weights)
	}
	if o.PaceMS != 0 {
		s += fmt.Sprintf(" pace=%d", o.PaceMS)
	}
	if o.SampleThreshold != math.MaxUint64 {
		s += fmt.Sprintf(" sample=%x<%x", o.SampleSeed[:2], o.SampleThreshold)
	}
	if o.Late != 0 {
		s += fmt.Sprintf(" late=%d", o.Late)
	}
	if o.Rolled != 0 {
		s += fmt.Sprintf(" rolled=%d", o.Rolled)
	}
	if !o.Contract.IsZero() {
		s += fmt.Sprintf(" contract=%x", o.Contract[:4])
	}
	return s
}

func showReply(r wire.Reply) string {
	switch r := r.(type) {
	case wire.Welcome:
		return fmt.Sprintf("welcome #%d from %d.%d", r.Index, r.FromRound, r.FromAttempt)
	case wire.Receipt:
		if r.Content.IsZero() {
			return fmt.Sprintf("receipt %d.%d of a decline", r.Round, r.Attempt)
		}
		if r.Version != 0 {
			return fmt.Sprintf("receipt %d.%d %s in %d", r.Round, r.Attempt, text(r.Content[:]), r.Version)
		}
		return fmt.Sprintf("receipt %d.%d %s", r.Round, r.Attempt, text(r.Content[:]))
	case wire.RefusalReply:
		s := fmt.Sprintf("refusal %d.%d %s %v", r.Round, r.Attempt, text(r.Content[:]), r.Reason)
		if r.Reason == "stale_round" && r.Detail != "" {
			s += ": " + r.Detail
		}
		if r.Counter != 0 {
			s += fmt.Sprintf(" counter=%d", r.Counter)
		}
		return s
	case wire.Wait:
		return fmt.Sprintf("wait %d.%d %s ahead=%d", r.Round, r.Attempt, text(r.Content[:]), r.Ahead)
	case wire.Superseded:
		return "superseded " + text(r.Instance[:])
	case wire.Standby:
		return fmt.Sprintf("standby %s for %d ms, host %s", text(r.Instance[:]), r.WaitMS, r.Host)
	}
	return fmt.Sprintf("%#v", r)
}

func showFact(f round.Fact) string {
	s := fmt.Sprintf("%s %d.%d", f.Kind, f.Round, f.Attempt)
	for _, part := range []string{f.Member, f.Work, text(f.Content[:]), f.Reason.String(), f.Detail} {
		if part != "" && part != "-" {
			s += " " + part
		}
	}
	if f.Count != 0 {
		s += fmt.Sprintf(" (%d)", f.Count)
	}
	return s
}

func printState(w io.Writer, s *round.State, members []round.Member) {
	fmt.Fprintf(w, "%s e%d %d.%d base=%s v%d valid_from=%d %s\n", s.Phase, s.Epoch, s.Round, s.Attempt, text(s.Base[:]), s.Version, s.ValidFrom, flags(s))
	for i, mem := range members {
		fmt.Fprintf(w, "#%d %s n=%d %s counter=%d from %d.%d heard=%v silent=%d left=%v\n", i, mem.Path, mem.Samples,
			text(mem.Instance[:]), mem.Counter, mem.FromRound, mem.FromAttempt, mem.Heard, mem.Silent, mem.Left)
	}
}

func flags(s *round.State) string {
	var f []string
	for _, x := range []struct {
		on   bool
		name string
	}{
		{s.PauseAsked, "pause_asked"},
		{s.StopAsked, "stop_asked"},
		{s.StartAsked, "start_asked"},
		{s.Paused, "paused"},
		{s.Stopped, "stopped"},
		{s.Finished, "finished"},
	} {
		if x.on {
			f = append(f, x.name)
		}
	}
	return "[" + strings.Join(f, " ") + "]"
}

// text shows an id that a script made from a short word.
func text(b []byte) string {
	if s := strings.TrimRight(string(b), "\x00"); s != "" {
		return s
	}
	return "-"
}
