package round_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// world is a federation around one machine: sites that train, a network that
// loses, repeats and reorders, a driver that crashes between any two of its
// duties, and a disk.
type world struct {
	t     *rapid.T
	cfg   round.Config
	m     *round.Machine
	disk  disk
	twin  *twin
	dice  *rand.Rand
	now   int64
	up    bool
	sites []*site
	net   []round.Event // on their way to the machine

	order    round.Order // the last that reached the broker
	orders   []seen
	boots    int
	receipts []receipt
	welcomed map[string]uint32
	kept     []round.Update // accepted updates that the driver kept on its disk
	sum      []round.Accepted
	commit   *round.Commit // handed out, not answered yet
	log      []closed      // durable records, oldest first
	serial   int
}

// closed is one durable record, as an outsider reads it.
type closed struct {
	committed bool
	epoch     uint64
	round     uint64
	attempt   uint32
	base      model.Hash
	next      model.Hash // of a committed one: the new base
	entries   []round.Entry
}

// seen is one order that left, and which process sent it.
type seen struct {
	round.Order
	boot int
}

type receipt struct {
	member  string
	round   uint64
	content model.Hash
}

// site is one member as it sees the federation.
type site struct {
	path    string
	counter uint64
	mute    bool           // sends nothing for a while
	outbox  []round.Update // trained and not settled
}

// crash points of one Ready.
const (
	crashNot = iota
	crashBeforeSave
	crashAfterSave
	crashBetweenSends
	crashAfterSends
)

func newWorld(t *rapid.T) *world {
	f, err := topics.ParseMemberFilter("+")
	if err != nil {
		t.Fatal(err)
	}
	n := rapid.IntRange(1, 5).Draw(t, "sites")
	quorum := rapid.IntRange(1, n).Draw(t, "quorum")
	w := &world{t: t, welcomed: map[string]uint32{}, now: 1_000_000, dice: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), cfg: round.Config{
		Members: []topics.MemberFilter{f}, Base: id("m0"), DeadlineMS: 60_000, Quorum: quorum, Allowance: 8,
		StartWhen:  rapid.IntRange(quorum, n).Draw(t, "start_when"),
		Rounds:     uint64(rapid.IntRange(1, 4).Draw(t, "rounds")),
		Statistics: rapid.Bool().Draw(t, "statistics"),
	}}
	if rapid.Bool().Draw(t, "goal?") {
		w.cfg.Goal = rapid.IntRange(quorum, n).Draw(t, "goal")
	}
	if err := w.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		w.sites = append(w.sites, &site{path: string(rune('a' + (i*3)%5))})
	}
	w.twin = &twin{t: t, cfg: w.cfg}
	w.boot()
	return w
}

// boot starts a process from the disk; the driver offers what it kept.
func (w *world) boot() {
	w.boots++
	w.m = w.disk.machine(w.t, w.cfg)
	w.sum, w.commit, w.up = nil, nil, false
	w.twin.crash()
	if !w.step(round.Started{Instance: inst("x")}, crashNot) {
		return
	}
	w.step(round.Connected{}, crashNot)
	for _, u := range w.kept {
		if u.Round == w.m.State().Round {
			w.step(u, crashNot)
		}
	}
}

// step feeds one event and does what is owed, up to a crash. It reports
// whether the process lives.
func (w *world) step(ev round.Event, crash int) bool {
	switch ev.(type) {
	case round.Connected:
		w.up = true
	case round.Disconnected:
		w.up = false
	}
	w.twin.event(ev, w.now)
	w.m.Step(w.now, ev)
	rd := w.m.Ready()
	w.twin.ready(ev, rd, w.now)
	if crash == crashBeforeSave {
		w.twin.undo()
		w.boot()
		return false
	}
	w.save(rd.Save, ev)
	w.twin.saved(rd.Save.State != nil || len(rd.Save.Members) > 0)
	if crash == crashAfterSave {
		w.boot()
		return false
	}
	if rd.Restart {
		w.sum = nil
	}
	w.sum = append(w.sum, rd.Fold...)
	sends := len(rd.Send)
	if crash == crashBetweenSends {
		sends /= 2
	}
	for _, msg := range rd.Send[:sends] {
		w.send(msg)
	}
	if crash >= crashBetweenSends {
		w.boot()
		return false
	}
	if c := rd.Commit; c != nil {
		w.checkSum(c)
		w.commit = c
	}
	return true
}

// save is one transaction; a commit's record goes with the state after it.
func (w *world) save(s round.Save, ev round.Event) {
	w.disk.save(w.t, s)
	for _, r := range s.Records {
		w.log = append(w.log, closed{false, r.Epoch, r.Round, r.Attempt, r.Base, r.Base, r.Entries})
	}
	if c, ok := ev.(round.Committed); ok && w.commit != nil {
		w.log = append(w.log, closed{true, w.commit.Epoch, w.commit.Round, w.commit.Attempt, w.commit.Base, c.Base, w.commit.Entries})
		w.commit = nil
	}
	for _, v := range s.Verdicts {
		if v.Reason == verdict.Counted && w.dice.IntN(2) == 0 {
			w.kept = append(w.kept, round.Update{
				Member: v.Member, Round: v.Round, Attempt: v.Attempt, Base: w.m.State().Base,
				Content: v.Content, Samples: v.Samples, Norm: v.Norm,
			})
		}
	}
}

func (w *world) send(msg round.Message) {
	switch msg := msg.(type) {
	case round.SendOrder:
		if !w.up {
			w.t.Fatal("an order left without a link")
		}
		w.order = msg.Order
		w.orders = append(w.orders, seen{msg.Order, w.boots})
	case round.SendReply:
		if r, ok := msg.Reply.(wire.Receipt); ok && !r.Content.IsZero() {
			w.receipts = append(w.receipts, receipt{msg.Member, r.Round, r.Content})
		}
		if r, ok := msg.Reply.(wire.Welcome); ok {
			if i, had := w.welcomed[msg.Member]; had && i != r.Index {
				w.t.Fatalf("%s is welcomed as #%d, and was as #%d", msg.Member, r.Index, i)
			}
			w.welcomed[msg.Member] = r.Index
		}
	}
}

// checkSum: what the driver folded is the accepted set, each once.
func (w *world) checkSum(c *round.Commit) {
	var got []string
	for _, a := range w.sum {
		got = append(got, showAccepted(a))
	}
	var want []string
	for _, a := range c.Accepted {
		want = append(want, showAccepted(a))
	}
	if !slices.IsSorted(want) {
		w.t.Fatalf("accepted set out of path order: %v", want)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.t.Fatalf("commit %d.%d of %v, but the sum holds %v", c.Round, c.Attempt, want, got)
	}
}

// train makes an update for the last order seen.
func (w *world) train(s *site) round.Update {
	w.serial++
	return round.Update{
		Member: s.path, Round: w.order.Round, Attempt: w.order.Attempt, Base: w.order.Base,
		Content: id(fmt.Sprintf("%s%d", s.path, w.serial)), Samples: uint64(w.serial%7 + 1), Norm: 1,
	}
}
