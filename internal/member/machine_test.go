package member

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// middle is a source of randomness whose jitter is exactly the value asked for.
type middle struct{}

func (middle) Uint64() uint64 { return 1<<63 + 0x123456789 }

// script drives one machine by the commands of a testdata/machine file: every
// command is one event, or a restart, and prints the whole Ready.
type script struct {
	cfg  Config
	m    *Machine
	now  ms
	disk State
	box  map[uint64]Entry
	have Stored
}

func TestMachine(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/machine", func(t *testing.T, path string) {
		s := script{
			cfg:  Config{Path: "berlin/line-1", Instance: named("me"), Statistics: true, Rand: rand.New(middle{})},
			box:  map[uint64]Entry{},
			disk: State{Origin: named("o")}, // an order was seen before
		}
		s.start()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			ev, known := s.event(t, d)
			switch {
			case d.Cmd == "restart":
				s.start()
				return ""
			case d.Cmd == "new":
				s.disk = State{}
				s.start()
				return ""
			case d.Cmd == "trainer":
				s.cfg.Statistics = has(d, "statistics")
				s.start()
				return ""
			case !known:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			s.m.Step(s.now, ev)
			return s.drain()
		})
	})
}

func (s *script) start() {
	var box []Entry
	for _, e := range s.box {
		box = append(box, e)
	}
	slices.SortFunc(box, func(a, b Entry) int { return int(a.Round) - int(b.Round) })
	s.m = New(s.cfg, s.disk, box, s.have)
}

// event reads a command. at=12.5 moves the clock to 12.5 s first.
func (s *script) event(t *testing.T, d *datadriven.TestData) (Event, bool) {
	if v := arg(d, "at", ""); v != "" {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			d.Fatalf(t, "at: %v", err)
		}
		s.now = ms(f * 1000)
	}
	switch d.Cmd {
	case "connect":
		return Connected{}, true
	case "disconnect":
		return Disconnected{}, true
	case "back":
		return OwnerBack{}, true
	case "tick":
		return Tick{}, true
	case "order":
		return Ordered{s.order(t, d)}, true
	case "model":
		s.have = Stored{Content: content(arg(d, "id", "")), Schema: model.Hash(hash(arg(d, "schema", "s")))}
		return ModelStored{s.have}, true
	case "lost":
		s.have = Stored{}
		return ModelLost{}, true
	case "record":
		return Recorded{
			Round: number(t, d, "round", 1), Verdict: arg(d, "verdict", "committed"),
			Counted: func(uint32) bool { return has(d, "counted") },
		}, true
	case "began":
		return Began{number(t, d, "job", 1)}, true
	case "finished":
		return Finished{ID: number(t, d, "job", 1), Reason: arg(d, "reason", ""), Detail: arg(d, "detail", "")}, true
	case "unsealed":
		return Unsealed{ID: number(t, d, "job", 1), Reason: arg(d, "reason", ""), Detail: arg(d, "detail", "")}, true
	case "stored":
		e := Entry{
			Round: number(t, d, "round", 1), Attempt: uint32(number(t, d, "attempt", 1)), Base: content(arg(d, "base", "a")),
			Work: arg(d, "work", wire.WorkTrain), Content: content(arg(d, "content", "u")), Blob: wire.BlobKey(named(arg(d, "blob", ""))),
			PartSize: uint32(number(t, d, "part-size", 0)),
		}
		s.box[e.Round] = e
		return EntryStored{e}, true
	case "stuck":
		return EntryStuck{Round: number(t, d, "round", 1), Detail: arg(d, "detail", "")}, true
	case "unreadable":
		return EntryLost{number(t, d, "round", 1)}, true
	case "hours":
		return HoursChanged{Open: has(d, "open")}, true
	case "taken":
		return PartTaken{number(t, d, "round", 1)}, true
	}
	if r := s.reply(t, d); r != nil {
		return Replied{Epoch: number(t, d, "epoch", 1), Reply: r}, true
	}
	return nil, false
}

func (s *script) order(t *testing.T, d *datadriven.TestData) Order {
	o := Order{
		Stamp: wire.Stamp{Epoch: number(t, d, "epoch", 1), Round: number(t, d, "round", 1), Attempt: uint32(number(t, d, "attempt", 1))},
		Base:  content(arg(d, "base", "a")), Schema: model.Hash(hash(arg(d, "schema", "s"))),
		Order: wire.Order{
			Instance: named(arg(d, "instance", "i")), Work: arg(d, "work", wire.WorkTrain),
			ValidFrom: uint32(number(t, d, "valid-from", 1)), PaceMS: number(t, d, "pace", 0),
			SampleThreshold: number(t, d, "threshold", wire.SampleAll), PartSize: uint32(number(t, d, "part-size", 0)),
			SampleSeed: named(arg(d, "sample", "")),
		},
	}
	o.Origin = named(arg(d, "origin", "o"))
	o.Hash = hash(fmt.Sprint(o.Stamp, o.Work, [16]byte(o.Instance), arg(d, "bytes", "")))
	return o
}

func (s *script) reply(t *testing.T, d *datadriven.TestData) wire.Reply {
	round, attempt, id := number(t, d, "round", 1), uint32(number(t, d, "attempt", 1)), model.Hash{}
	if v := arg(d, "content", "u"); v != "none" {
		id = content(v)
	}
	switch d.Cmd {
	case "welcome":
		return wire.Welcome{Index: 3, FromRound: number(t, d, "from", 1), FromAttempt: attempt}
	case "receipt":
		return wire.Receipt{Round: round, Attempt: attempt, Content: id}
	case "settled":
		return wire.Settled{Round: round, Content: id, Verdict: arg(d, "verdict", "counted")}
	case "refusal":
		return wire.RefusalReply{
			Round: round, Attempt: attempt, Content: id, Reason: arg(d, "reason", ""), Detail: arg(d, "detail", ""),
			Counter: number(t, d, "counter", 0),
		}
	case "waiting":
		return wire.Wait{Round: round, Content: id, Ahead: uint32(number(t, d, "ahead", 0))}
	case "grant":
		return wire.Grant{
			Round: round, Seq: number(t, d, "seq", 1), Blob: wire.BlobKey(named(arg(d, "blob", "b"))),
			Ranges: []wire.Range{{First: uint32(number(t, d, "first", 0)), N: uint32(number(t, d, "n", 1))}},
		}
	case "standby":
		return wire.Standby{Instance: named(arg(d, "instance", "me")), WaitMS: number(t, d, "wait", 90_000), Host: "A"}
	case "superseded":
		return wire.Superseded{Instance: named(arg(d, "instance", "me"))}
	}
	return nil
}

// drain prints everything owed and does the saving.
func (s *script) drain() string {
	var b strings.Builder
	r := s.m.Ready()
	if r.Save != nil {
		s.disk = *r.Save
		fmt.Fprintf(&b, "save: %s\n", printState(s.disk))
	}
	for _, round := range r.Drop {
		delete(s.box, round)
		fmt.Fprintf(&b, "drop: entry of round %d\n", round)
	}
	if r.Cancel != 0 {
		fmt.Fprintf(&b, "cancel: job %d\n", r.Cancel)
	}
	if r.Seal != nil {
		fmt.Fprintf(&b, "seal: job %d %s base %s %s\n", r.Seal.ID, r.Seal.Stamp, short(r.Seal.Base), r.Seal.Work)
	}
	if r.Reseal != nil {
		fmt.Fprintf(&b, "reseal: entry of round %d for %d bytes\n", r.Reseal.Round, r.Reseal.PartSize)
	}
	if r.Pull != nil {
		fmt.Fprintf(&b, "pull: %s\n", short(*r.Pull))
	}
	for _, g := range r.Grants {
		fmt.Fprintf(&b, "grant: epoch %d round %d seq %d %v\n", g.Epoch, g.Round, g.Seq, g.Ranges)
	}
	for _, m := range r.Send {
		switch m := m.(type) {
		case SendJoin:
			fmt.Fprintf(&b, "send: join counter %d seen %s\n", m.Counter, m.Seen)
		case SendAgain:
			b.WriteString("send: join again\n")
		case SendEntry:
			fmt.Fprintf(&b, "send: entry of round %d\n", m.Round)
		case SendDecline:
			fmt.Fprintf(&b, "send: decline %s %s %q\n", m.Stamp, m.Reason, m.Detail)
		}
	}
	for _, a := range r.Ask {
		fmt.Fprintf(&b, "ask: %s\n", map[Ask]string{AskOrder: "order", AskRecord: "record", AskModel: "model", AskReply: "reply"}[a])
	}
	if r.Start != nil {
		fmt.Fprintf(&b, "start: job %d %s round %d base %s\n", r.Start.ID, r.Start.Work, r.Start.Round, short(r.Start.Base))
	}
	if v := r.Show; v != nil {
		fmt.Fprintf(&b, "show: %s round %d.%d", v.Phase, v.Round, v.Attempt)
		for _, s := range []string{v.Message, v.Error} {
			if s != "" {
				fmt.Fprintf(&b, " [%s]", s)
			}
		}
		if v.Unheard != 0 {
			fmt.Fprintf(&b, " unheard=%d", v.Unheard)
		}
		b.WriteByte('\n')
	}
	if r.Anew != "" {
		fmt.Fprintf(&b, "say: %s\n", r.Anew)
	}
	if r.Stop != "" {
		fmt.Fprintf(&b, "stop: %s\n", r.Stop)
	}
	if r.Wait != nil {
		fmt.Fprintf(&b, "wait: %d ms, host %s\n", r.Wait.For, r.Wait.Host)
	}
	if r.Wake != 0 {
		fmt.Fprintf(&b, "wake: %s\n", strconv.FormatFloat(float64(r.Wake)/1000, 'f', -1, 64))
	}
	return b.String()
}

func printState(s State) string {
	out := fmt.Sprintf("seen %s counter %d", s.Seen, s.Counter)
	if s.Welcomed {
		out += fmt.Sprintf(" index %d from %d.%d", s.Index, s.FromRound, s.FromAttempt)
	}
	if s.Over != (Over{}) {
		out += fmt.Sprintf(" over %s %d.%d %q refused=%v", s.Over.Key.Work, s.Over.Key.Round, s.Over.Attempt, s.Over.Verdict, s.Over.Refused)
	}
	return out
}

// names of content ids, so that a script can be read.
var names = func() map[model.Hash]string {
	m := map[model.Hash]string{{}: "-"}
	for c := 'a'; c <= 'z'; c++ {
		m[content(string(c))] = string(c)
	}
	return m
}()

func short(id model.Hash) string {
	if s, ok := names[id]; ok {
		return s
	}
	return hex.EncodeToString(id[:4])
}

func hash(s string) [32]byte                    { return sha256.Sum256([]byte(s)) }
func content(s string) model.Hash               { return model.Hash(hash(s)) }
func named(s string) (n wire.Nonce)             { copy(n[:], s); return n }
func has(d *datadriven.TestData, k string) bool { return d.HasArg(k) }

func arg(d *datadriven.TestData, k, def string) string {
	for _, a := range d.CmdArgs {
		if a.Key == k {
			return strings.Join(a.Vals, " ")
		}
	}
	return def
}

func number(t *testing.T, d *datadriven.TestData, k string, def uint64) uint64 {
	v := arg(d, k, "")
	if v == "" {
		return def
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		d.Fatalf(t, "%s: %v", k, err)
	}
	return n
}
