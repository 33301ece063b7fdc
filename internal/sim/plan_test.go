package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Plan is all that a run depends on. It follows from its seed, and Shrink makes
// smaller ones.
type Plan struct {
	Seed  uint64
	Sites []SitePlan

	Rounds     uint64
	Statistics bool
	StartWhen  int
	JoinWait   ms
	Quorum     int
	Goal       int
	Deadline   ms
	Sample     float64
	Pace       ms
	Weights    round.Weights
	Late       uint64 // how far behind an update may be; above 0 training is asynchronous
	Buffer     int    // updates that close a round of that

	Keep     bool // accepted updates are kept on disk until the commit
	Size     int  // bytes of a model and of an update
	PartSize int  // bytes in one message; above it they travel in parts
	Recut    bool // every second life of the aggregator has smaller parts
	Uploads  int  // admitted at once
	DownMost ms   // a process is away, at most
	Faults   []Fault
	QuietAt  ms // no fault from here on
}

// SitePlan is one site.
type SitePlan struct {
	Path         string
	Samples      uint64
	TrainLeast   ms
	TrainMost    ms
	Drifts       bool // training again gives another update
	NoStatistics bool
	Bad          int   // updates that are not finite, in so many of a thousand
	Fails        int   // jobs that fail, likewise
	Bandwidth    int64 // bits a second of parts, 0: no cap
	Open, Shut   ms    // hours of parts, and the time between them; 0: always
}

// FaultKind is what goes wrong.
type FaultKind uint8

// The faults.
const (
	Kill      FaultKind = iota // a process dies at one of its next effects
	Partition                  // a client is cut off, and notices late
	DropLink                   // a client's connection ends
	Restart                    // of the broker
	Forget                     // the broker forgets one retained message
	ForgetAll
	OldBack  // a bridge brings an old retained message back
	Deaf     // the broker forgets a client's subscriptions under a live link
	Disturb  // noise for a while
	Operator // a command
	Takeover // another aggregator takes over with the disk of the first
	Rollback // a site's data directory is what it was a while ago
	faultKinds

	OlderCopy // the aggregator's disk is what it was a while ago; rare, so drawn apart
	Emptied   // a site's data directory is gone; drawn apart
)

// Fault is one thing that goes wrong.
type Fault struct {
	At    ms
	Kind  FaultKind
	Node  int // Kill, Partition, DropLink, Deaf: a site, or -1 for the aggregator
	Fuse  int // Kill: effects until then
	For   ms
	Loss  bool // Kill: power loss; Restart, OlderCopy: retained messages go
	Pick  int  // Forget, OldBack: which
	Noise Noise
	Op    round.Op
}

// NewPlan draws a plan.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 1)) // a simulation
	pick := func(list ...int) int { return list[r.IntN(len(list))] }
	n := pick(1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 8)
	if r.IntN(60) == 0 {
		n = 10 + r.IntN(41)
	}
	p := Plan{
		Seed: seed, Rounds: uint64(2 + r.IntN(7)), Statistics: r.IntN(4) == 0, Sample: 1, // small
		Deadline: ms(pick(20, 60, 60, 120, 300, 300, 600)) * 1_000, Keep: r.IntN(3) == 0,
		Size: pick(24, 24, 48, 64), PartSize: pick(16, 64, 64, 80), Recut: r.IntN(8) == 0,
		Uploads: pick(1, 2, 4, 64), DownMost: ms(pick(2, 10, 60)) * 1_000,
		Weights: []round.Weights{round.WeightSamples, round.WeightUniform, round.WeightSqrt}[r.IntN(3)],
	}
	p.Quorum = 1 + r.IntN(n)
	p.StartWhen = p.Quorum + r.IntN(n-p.Quorum+1)
	if r.IntN(3) == 0 {
		p.JoinWait = r.Int64N(20_000)
	}
	if r.IntN(4) == 0 {
		p.Goal = p.Quorum + r.IntN(n-p.Quorum+1)
	}
	if r.IntN(6) == 0 && n > 2 {
		p.Sample = 0.3 + 0.6*r.Float64()
	}
	if r.IntN(6) == 0 {
		p.Pace = r.Int64N(5_000)
	}
	if n >= 10 && r.IntN(2) == 0 { // many parts on their way at once
		p.Size, p.PartSize, p.Uploads = 400, 16, 64
	}
	p.drawSites(r, n)
	p.drawFaults(r)
	p.drawLate(rand.New(rand.NewPCG(seed, 3)), n) // drawn apart
	return p
}

// drawLate makes training asynchronous in some plans, with sites that take longer than
// rounds last.
func (p *Plan) drawLate(r *rand.Rand, n int) {
	if p.Sample < 1 || r.IntN(4) != 0 {
		return
	}
	p.Late, p.Buffer, p.Goal = uint64(1+r.IntN(4)), p.Quorum+r.IntN(n-p.Quorum+1), 0 // small
	p.Rounds *= 2
	for i := range p.Sites {
		if s := &p.Sites[i]; r.IntN(2) == 0 {
			s.TrainMost = max(s.TrainMost, min(5*s.TrainMost, 60_000))
		}
	}
}

func (p *Plan) drawSites(r *rand.Rand, n int) {
	most := ms(1_000 + r.IntN(9_000))
	spare := n - p.Quorum // may be of no use
	for i := range n {
		s := SitePlan{
			Path: fmt.Sprintf("s%02d/line", i), Samples: uint64(1 + r.IntN(1_000)), // small
			TrainLeast: 100, TrainMost: 100 + r.Int64N(most), Drifts: r.IntN(3) == 0,
		}
		if spare > 0 && r.IntN(8) == 0 {
			spare--
			if s.NoStatistics = r.IntN(2) == 0; !s.NoStatistics {
				s.Samples = 0
			}
		}
		if r.IntN(5) == 0 {
			s.Bad = r.IntN(500)
		}
		if r.IntN(8) == 0 {
			s.Fails = r.IntN(500)
		}
		if r.IntN(10) == 0 {
			s.TrainMost += p.Deadline
		}
		s.drawLine(r, p)
		p.Sites = append(p.Sites, s)
	}
}

// drawLine draws a cap under which a model takes a few seconds, and hours.
func (s *SitePlan) drawLine(r *rand.Rand, p *Plan) {
	if r.IntN(6) == 0 {
		parts := int64(2*p.Size/p.PartSize + 1)
		s.Bandwidth = 8 * parts * 80 / (1 + r.Int64N(4))
	}
	if r.IntN(6) == 0 {
		s.Open, s.Shut = 5_000+r.Int64N(60_000), 5_000+r.Int64N(60_000)
	}
}

func (p *Plan) drawFaults(r *rand.Rand) {
	span := ms(p.Rounds) * ms(2_000+r.IntN(20_000)) // small
	count := r.IntN(14)
	taken := false
	for range count {
		f := Fault{At: r.Int64N(span + 1), Kind: FaultKind(r.IntN(int(faultKinds))), Pick: r.IntN(1 << 16)} // small
		if r.IntN(2) == 0 {
			f.Kind = Kill
		}
		f.Node = r.IntN(len(p.Sites)+2) - 2
		f.Node = max(f.Node, -1)
		f.Fuse, f.Loss = 1+r.IntN(40), r.IntN(2) == 0
		f.For = 1 + r.Int64N([]ms{2_000, 20_000, 100_000}[r.IntN(3)])
		switch f.Kind {
		case Disturb:
			f.Noise = drawNoise(r)
		case Operator:
			f.Op = []round.Op{round.OpPause, round.OpPauseNow, round.OpResume, round.OpStop, round.OpStart}[r.IntN(5)]
		case Takeover:
			if taken {
				f.Kind = DropLink
			}
			taken = true
		}
		p.Faults = append(p.Faults, f)
	}
	if !taken && r.IntN(8) == 0 {
		p.Faults = append(p.Faults, Fault{At: r.Int64N(span + 1), Kind: OlderCopy, Node: -1, Loss: r.IntN(2) == 0, For: 1_000 + r.Int64N(100_000)})
	}
	if r.IntN(4) == 0 {
		for range 1 + r.IntN(3) {
			p.Faults = append(p.Faults, Fault{At: r.Int64N(span + 1), Kind: Emptied, Node: r.IntN(len(p.Sites))})
		}
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	p.QuietAt = span
	for _, f := range p.Faults {
		p.QuietAt = max(p.QuietAt, f.At+min(f.For, 100_000))
	}
}

func drawNoise(r *rand.Rand) Noise {
	var n Noise
	for _, x := range []*int{&n.Lose, &n.Twice, &n.Late, &n.Swallow, &n.NoAck, &n.DropLink, &n.Corrupt} {
		if r.IntN(3) == 0 {
			*x = 1 + r.IntN(300)
		}
	}
	n.DropLink /= 10
	if r.IntN(3) == 0 {
		n.Latency = 1 + r.Int64N(5_000)
	}
	return n
}

// noAcks reports whether PUBACKs may be lost.
func (p *Plan) noAcks() bool {
	return slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Noise.NoAck > 0 })
}

func (p *Plan) partSize(life uint64) int {
	if p.Recut && life%2 == 0 {
		return p.PartSize / 2
	}
	return p.PartSize
}

// genesis is version 0 of the model.
func (p *Plan) genesis() []byte {
	return stretch(sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("genesis"), p.Seed)), p.Size)
}

func (p *Plan) round(base model.Hash, r *rand.Rand) round.Config {
	c := round.Config{
		Members: []topics.MemberFilter{allMembers}, Rounds: p.Rounds, Statistics: p.Statistics,
		StartWhen: p.StartWhen, JoinWaitMS: p.JoinWait, Quorum: p.Quorum, Goal: p.Goal, DeadlineMS: uint64(p.Deadline), // positive
		Sample: p.Sample, Weights: p.Weights, Folding: round.Folding{Late: p.Late, Buffer: p.Buffer}, Base: base, Schema: schema,
		Rand: func(b []byte) { binary.LittleEndian.PutUint64(b, r.Uint64()) },
	}
	if p.Pace > 0 {
		pace := uint64(p.Pace) // positive
		c.PaceMS = &pace
	}
	return c
}
