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
	cut  wire.Blob
	hold bool // PUBACKs
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
			case d.Cmd == "holds":
				s.have, s.cut = s.named(d), blobOf(arg(d, "id", ""))
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
			case d.Cmd == "pubacks":
				s.hold = has(d, "hold")
				return ""
			case d.Cmd == "cap":
				s.cfg.Line = NewLine(int64(number(t, d, "bits", 0)))
				s.start()
				return ""
			case !known:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			return s.step(ev)
		})
	})
}

func (s *script) start() {
	var box []Entry
	for _, e := range s.box {
		box = append(box, e)
	}
	slices.SortFunc(box, func(a, b Entry) int { return int(a.Round) - int(b.Round) })
	s.m = New(s.cfg, s.disk, box, s.have, s.cut)
}

// step takes an event, and those that follow from the work that is owed.
func (s *script) step(ev Event) string {
	var done strings.Builder
	wake := ""
	for next := []Event{ev}; len(next) > 0; next = next[1:] {
		s.m.Step(s.now, next[0])
		r := s.m.Ready()
		s.save(r)
		done.WriteString(printReady(r))
		wake = ""
		if r.Wake != 0 {
			wake = fmt.Sprintf("wake: %s\n", seconds(r.Wake))
		}
		for _, m := range r.Send {
			if e, ok := m.(SendEntry); ok && !s.hold {
				next = append(next, EntrySent(e))
			}
		}
	}
	return done.String() + wake
}

func (s *script) save(r Ready) {
	if r.Save != nil {
		s.disk = *r.Save
	}
	for _, round := range r.Drop {
		delete(s.box, round)
	}
	if r.Store != nil {
		s.have = *r.Store
	}
}

func seconds(at ms) string { return strconv.FormatFloat(float64(at)/1000, 'f', -1, 64) }

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
		return ModelCame{s.named(d)}, true
	case "manifest":
		b := blobOf(arg(d, "parts-of", arg(d, "id", "")))
		return ManifestCame{Manifest{Manifest: wire.Manifest{Slot: uint32(number(t, d, "slot", 0)), Blob: b}, Is: s.named(d)}}, true
	case "part":
		return s.part(t, d), true
	case "spoilt":
		return PartSpoilt{Slot: uint32(number(t, d, "slot", 0)), Index: uint32(number(t, d, "index", 0))}, true
	case "assembled":
		s.have, s.cut = s.named(d), s.m.pull.target.blob()
		return ModelStored{s.have}, true
	case "broken":
		return ModelBroken{}, true
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
			Work: arg(d, "work", wire.WorkTrain), Content: content(arg(d, "content", "u")), PartSize: uint32(number(t, d, "part-size", 0)), Late: has(d, "late"),
		}
		if v := arg(d, "blob", ""); v != "" {
			e.Parts = blobOf(v)
			e.Blob = e.Parts.Key()
		}
		s.box[e.Round] = e
		return EntryStored{e}, true
	case "stuck":
		return EntryStuck{Round: number(t, d, "round", 1), Detail: arg(d, "detail", "")}, true
	case "unreadable":
		return EntryLost{number(t, d, "round", 1)}, true
	case "hours":
		return HoursChanged{Open: has(d, "open")}, true
	case "sent":
		return EntrySent{number(t, d, "round", 1)}, true
	case "taken":
		return PartSent{Upload: number(t, d, "upload", 1), Index: uint32(number(t, d, "index", 0)), OK: !has(d, "failed")}, true
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
			SampleSeed: named(arg(d, "sample", "")), Late: number(t, d, "late", 0),
		},
	}
	o.Origin, o.Lacks = named(arg(d, "origin", "o")), arg(d, "lacks", "")
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
		return wire.Receipt{Round: round, Attempt: attempt, Content: id, Version: number(t, d, "in", 0)}
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
			Round: round, Seq: number(t, d, "seq", 1), Blob: blobOf(arg(d, "blob", "b")).Key(),
			Ranges: []wire.Range{{First: uint32(number(t, d, "first", 0)), N: uint32(number(t, d, "n", 1))}},
		}
	case "standby":
		return wire.Standby{Instance: named(arg(d, "instance", "me")), WaitMS: number(t, d, "wait", 90_000), Host: "A"}
	case "superseded":
		return wire.Superseded{Instance: named(arg(d, "instance", "me"))}
	}
	return nil
}

// printReady prints everything owed but the next time.
func printReady(r Ready) string {
	var b strings.Builder
	if r.Save != nil {
		fmt.Fprintf(&b, "save: %s\n", printState(*r.Save))
	}
	for _, round := range r.Drop {
		fmt.Fprintf(&b, "drop: entry of round %d\n", round)
	}
	if r.Store != nil {
		fmt.Fprintf(&b, "store: model %s\n", short(r.Store.Content))
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
	printPull(&b, r)
	for _, m := range r.Send {
		printSend(&b, m)
	}
	for _, a := range r.Ask {
		fmt.Fprintf(&b, "ask: %s\n", map[Ask]string{AskOrder: "order", AskRecord: "record", AskModel: "model", AskReply: "reply"}[a])
	}
	if r.Start != nil {
		fmt.Fprintf(&b, "start: job %d %s round %d base %s\n", r.Start.ID, r.Start.Work, r.Start.Round, short(r.Start.Base))
	}
	for _, s := range r.Settled {
		fmt.Fprintf(&b, "settled: round %d counted=%v\n", s.Round, s.Counted)
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
	if r.Progress {
		b.WriteString("progress\n")
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
	return b.String()
}

func printPull(b *strings.Builder, r Ready) {
	for _, p := range r.Write {
		fmt.Fprintf(b, "write: %d bytes at %d\n", len(p.Data), p.Off)
	}
	if r.Discard {
		b.WriteString("discard\n")
	}
	if r.Receive != 0 {
		fmt.Fprintf(b, "receive: %d bytes\n", r.Receive)
	}
	if c := r.Copy; c != nil {
		fmt.Fprintf(b, "copy of model %s: %+v\n", short(c.Of), c.Same)
	}
	if a := r.Assemble; a != nil {
		fmt.Fprintf(b, "assemble: model %s, begun at %s, %d parts ignored\n", short(a.Is.Content), seconds(a.Began), a.Ignored)
	}
	for _, f := range r.Unsubscribe {
		fmt.Fprintf(b, "unsubscribe: slot %d part %d\n", f.Slot, f.Index)
	}
	for _, f := range r.Subscribe {
		fmt.Fprintf(b, "subscribe: slot %d part %d qos %d\n", f.Slot, f.Index, f.QoS)
	}
}

func printSend(b *strings.Builder, m Send) {
	switch m := m.(type) {
	case SendJoin:
		fmt.Fprintf(b, "send: join counter %d seen %s\n", m.Counter, m.Seen)
	case SendAgain:
		b.WriteString("send: join again\n")
	case SendEntry:
		fmt.Fprintf(b, "send: entry of round %d\n", m.Round)
	case SendPart:
		fmt.Fprintf(b, "send: part %d of round %d, upload %d\n", m.Index, m.Round, m.Upload)
	case SendDecline:
		fmt.Fprintf(b, "send: decline %s %s %q\n", m.Stamp, m.Reason, m.Detail)
	case SendNeed:
		fmt.Fprintf(b, "send: need %v of model %s\n", m.Need.Ranges, short(m.Is.Content))
	}
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

func (s *script) named(d *datadriven.TestData) Stored {
	return Stored{Content: content(arg(d, "id", "")), Schema: model.Hash(hash(arg(d, "schema", "s")))}
}

// Bytes that travel in parts: ten of sixteen bytes.
const blobParts, blobData = 10, 16

func partOf(name string, i int) []byte {
	if strings.HasPrefix(name, "~") && i%3 == 0 { // models of such names share these
		name = "~"
	}
	h := hash(fmt.Sprint(name, i))
	return h[:blobData]
}

func blobOf(name string) wire.Blob {
	b := wire.Blob{Length: blobParts * blobData, Data: blobData}
	for i := range blobParts {
		h := model.PartOf(partOf(name, i))
		b.Hashes = append(b.Hashes, h[:wire.PartHash]...)
	}
	return b
}

// part is a part of a model as it comes, with another one's bytes on request.
func (s *script) part(t *testing.T, d *datadriven.TestData) Event {
	i, name := uint32(number(t, d, "index", 0)), arg(d, "id", "")
	p := wire.Part{Blob: blobOf(name).Key(), Index: i, Count: blobParts, Data: partOf(arg(d, "bytes-of", name), int(i))}
	return PartCame{Slot: uint32(number(t, d, "slot", 0)), Index: i, Part: p}
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
