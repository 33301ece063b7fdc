package owner_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

var ownNames = [...]string{owner.OwnModel: "model", owner.OwnHead: "head", owner.OwnOrder: "order", owner.OwnReleased: "released"}

// show writes all of a Ready, a line each thing owed, in the order owed.
func show(w io.Writer, rd owner.Ready) {
	say := func(format string, args ...any) { fmt.Fprintf(w, "  "+format+"\n", args...) }
	if s := rd.Stop; s != nil {
		say("stop: fenced by %d, seen %s by %v, later %v", s.Fenced, s.Seen, s.Who, s.Later)
	}
	printSave(say, rd.Save)
	for _, k := range rd.Drop {
		say("drop: %s", key(k))
	}
	for _, k := range rd.Release {
		say("release: %s", key(k))
	}
	if rd.Restart {
		say("fold: begin an empty sum")
	}
	for _, f := range rd.Fold {
		say("fold: %s weight %d", key(f.Key), f.Weight)
	}
	for _, s := range rd.Stage {
		say("stage: %s%s", key(s.Key), fill(s))
	}
	for _, x := range rd.Write {
		say("write: %s at %d: %s", key(x.Key), x.Off, x.Data)
	}
	for _, m := range rd.Send {
		if text := message(m); text != "" {
			say("send: %s", text)
		}
	}
	if c := rd.Check; c != nil {
		say("check: %s, kept %v", key(c.Key), c.Kept != nil)
	}
	if c := rd.Commit; c != nil {
		say("commit: round %d, attempt %d of %d", c.Round, c.Attempt, len(c.Accepted))
	}
	if rd.Empty() && rd.Wake > 0 {
		say("wake: %v", float64(rd.Wake)/1000)
	}
}

func printSave(say func(string, ...any), s owner.Save) {
	for _, v := range s.Verdicts {
		say("save: verdict %d.%d %s %s", v.Round, v.Attempt, v.Member, v.Reason)
	}
	for _, r := range s.Records {
		say("save: record of %d.%d, abandoned: %s", r.Round, r.Attempt, r.Reason)
	}
	if s.Committed {
		say("save: the record of the commit")
	}
	if s.State != nil {
		say("save: state %s %s", s.State.Phase, s.State.Stamp())
	}
	for _, p := range s.Members {
		say("save: member #%d %s", p.Index, p.Member.Path)
	}
	if s.Cleared {
		say("save: nothing of an earlier layout is left")
	}
}

// fill writes what a place is filled with: where from, where to, how much.
func fill(s owner.Stage) (text string) {
	for _, f := range s.Fill {
		from := "zeros"
		if f.From != transfer.Zeros {
			from = fmt.Sprintf("%s at %d", key(owner.Key{Member: s.Member, Content: s.From}), f.From)
		}
		text += fmt.Sprintf(", %s: %d bytes at %d", from, f.N, f.To)
	}
	return text
}

func key(k owner.Key) string { return k.Member + "/" + strings.TrimRight(string(k.Content[:]), "\x00") }

func message(m owner.Message) string {
	switch m := m.(type) {
	case owner.Publish:
		return fmt.Sprintf("make order %s %s, model %s on slot %d", m.Order.Stamp, m.Order.Work, strings.TrimRight(string(m.Order.Base[:]), "\x00"), m.Slot)
	case owner.SendOwn:
		var names []string
		for _, own := range m.List {
			names = append(names, ownNames[own])
		}
		return "own " + strings.Join(names, ", ")
	case owner.PostOwn:
		return fmt.Sprintf("own %s by the way, repair %v", ownNames[m.Own], m.Repair)
	case owner.SendPart:
		return fmt.Sprintf("part %d of version %d on slot %d, needed %v", m.Index, m.Version, m.Slot, m.Needed)
	case owner.Reply:
		return fmt.Sprintf("to %s: %s", m.Member, reply(m.Reply))
	case owner.Tell:
		return fmt.Sprintf("fact %s %s", m.Fact.Kind, m.Fact.Member)
	case owner.Count:
		return fmt.Sprintf("count %s of %q", m.Reason, m.Member)
	case owner.Settle:
		return fmt.Sprintf("settle %s of round %d", m.Member, m.Round)
	}
	return fmt.Sprintf("%T", m)[len("owner."):]
}

func reply(r wire.Reply) string {
	switch r := r.(type) {
	case wire.Grant:
		return fmt.Sprintf("grant %d %v", r.Seq, r.Ranges)
	case wire.Wait:
		return fmt.Sprintf("wait behind %d", r.Ahead)
	case wire.RefusalReply:
		return "refusal " + r.Reason
	case wire.Receipt:
		return fmt.Sprintf("receipt %d.%d", r.Round, r.Attempt)
	}
	return strings.ToLower(fmt.Sprintf("%T", r)[len("wire."):])
}
