package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// federation is one federation under measurement.
type federation struct {
	Round
	dir   string
	floor *floor
	held  int // sites that wait for its turn

	records []peerRecord // by round, from 0: version 0, then what was trained
	ended   bool
	usages  map[*member][]peerUsage // at the moments below
	whole   []peerUsage             // of this process, without processes
	members []*member
}

// The moments at which usage is taken.
const (
	atStart = iota // the last warm-up round is on disk
	atStop         // the last round is
	atEnd          // all is published
	moments
)

// federate runs the federation to its end.
func (r *federation) federate(ctx context.Context, c *crew) error {
	if err := r.start(ctx, c); err != nil {
		return err
	}
	r.members, r.usages = c.members, map[*member][]peerUsage{}
	for !r.complete() {
		h, err := c.next(ctx)
		if err != nil {
			return err
		}
		switch {
		case h.Usage != nil:
			r.usages[h.from] = append(r.usages[h.from], *h.Usage)
		case h.Record != nil:
			if err := r.recorded(*h.Record, c); err != nil {
				return err
			}
		case h.Held != nil:
			if err := r.turn(ctx); err != nil {
				return err
			}
		case h.Ended != nil && *h.Ended != "":
			return fmt.Errorf("the task stopped: %s", *h.Ended)
		case h.Ended != nil:
			r.ended = true
			r.take(c)
		}
	}
	fmt.Fprint(r.Talk, "\r\x1b[K")
	return nil
}

// siteName is that of a site, counted from 1.
const siteName = "site-%05d"

func (r *federation) start(ctx context.Context, c *crew) error {
	spec := peerSpec{
		Dir: r.dir, Address: r.Broker, Params: r.Params, PartSize: r.PartSize, Seed: r.Seed, Changed: r.Changed, Sites: r.Sites, Trace: r.Trace,
		Rounds: uint64(r.last()), Block: uint64(r.block()), Strategy: r.Strategy.name, StrategyParams: r.Strategy.params, // at least 1
	}
	start := func(role, name string) error {
		spec.Role, spec.Name = role, name
		_, err := c.start(ctx, spec)
		return err
	}
	if r.Broker == "" {
		if err := start("broker", "broker"); err != nil {
			return err
		}
		var err error
		if spec.Address, err = c.readies(ctx, 1); err != nil {
			return err
		}
	}
	if err := start("aggregator", "aggregator"); err != nil {
		return err
	}
	for i := range r.Sites {
		spec.Site = i
		if err := start("site", fmt.Sprintf(siteName, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// The rounds of a task are warmUp, and then blocks of settleRounds and of measured
// rounds; before each block is the floor's turn.
const (
	// settleRounds is how many rounds from a turn on are not in the times: in the first
	// of them sites wait.
	settleRounds = 1
	// maxTurns is how many turns the floor has at most, and minLaps how many laps
	// that count at least.
	maxTurns, minLaps = 10, 5
)

// block is the number of rounds between two turns.
func (r *Round) block() int { return settleRounds + (r.Rounds+maxTurns-1)/maxTurns }

// turns is the number of turns.
func (r *Round) turns() int {
	measured := r.block() - settleRounds
	return (r.Rounds + measured - 1) / measured
}

// laps is the number of laps that count in a turn.
func (r *Round) laps() int { return (minLaps + r.turns() - 1) / r.turns() }

// last is the last round's number.
func (r *Round) last() int { return warmUp + r.turns()*settleRounds + r.Rounds }

// turn is the floor's, once the last site waits.
func (r *federation) turn(ctx context.Context) error {
	if r.held++; r.held < r.Sites {
		return nil
	}
	r.held = 0
	if err := r.floor.turn(ctx, r.laps()); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	for _, m := range r.members {
		if m.spec.Role == "site" {
			_ = m.asks.Encode(askGo) // one that has gone says so itself
		}
	}
	return nil
}

// recorded takes a record in.
func (r *federation) recorded(rec peerRecord, c *crew) error {
	switch {
	case rec.Verdict != record.Committed:
		return fmt.Errorf("round %d was %s: %s", rec.Round, rec.Verdict, rec.Reason)
	case rec.Round > 0 && rec.Counted != r.Sites:
		return fmt.Errorf("round %d counted %d of %d sites", rec.Round, rec.Counted, r.Sites)
	}
	if rec.Work == wire.WorkEvaluate { // the round that ends a task
		return nil
	}
	r.records = append(r.records, rec)
	n := len(r.records) - 1 // without version 0
	if n > 0 {
		fmt.Fprintf(r.Talk, "\rround %d of %d: %.3f s\x1b[K", n, r.last(), rec.At-r.records[n-1].At)
	}
	if n == warmUp || n == r.last() {
		r.take(c)
	}
	return nil
}

// take asks for the usage of all at this moment.
func (r *federation) take(c *crew) {
	var u peerUsage
	u.CPU, u.RSS = processUsage()
	r.whole = append(r.whole, u)
	c.ask(askUsage)
}

// complete reports whether all is said.
func (r *federation) complete() bool {
	if !r.ended {
		return false
	}
	for _, m := range r.members {
		if len(r.usages[m]) < moments {
			return false
		}
	}
	return true
}

// measured reports whether a round after warmUp is in the times.
func (r *Round) measured(n int) bool { return (n-warmUp-1)%r.block() >= settleRounds }

// times are the seconds of the measured rounds.
func (r *federation) times() []float64 {
	var s []float64
	for n := warmUp + 1; n < len(r.records); n++ {
		if r.measured(n) {
			s = append(s, r.records[n].At-r.records[n-1].At)
		}
	}
	return s
}

// closes are the seconds of what the aggregator alone does at the end of a measured round.
func (r *federation) closes() (s []float64) {
	for n := warmUp + 1; n < len(r.records); n++ {
		if r.measured(n) {
			s = append(s, r.records[n].Close)
		}
	}
	return s
}

// addUsage fills in CPU, memory, traffic and training times.
func (r *federation) addUsage(res *Result) {
	rounds := float64(r.last() - warmUp)
	var wire, up, down int64
	var trained []float64
	cpu, rss := map[string]float64{}, map[string]float64{}
	for _, m := range r.members {
		u := r.usages[m]
		read, written := u[atStop].Read-u[atStart].Read, u[atStop].Written-u[atStart].Written
		if wire += read + written; m.spec.Role == "site" {
			up, down = up+written, down+read
		}
		if times := u[atStop].Times; len(times) > warmUp {
			trained = append(trained, times[warmUp:]...)
		}
		cpu[m.spec.Role] += (u[atStop].CPU - u[atStart].CPU) / rounds
		rss[m.spec.Role] = max(rss[m.spec.Role], float64(u[atEnd].RSS)/1e6)
	}
	slices.Sort(trained)
	mb := func(n int64) float64 { return float64(n) / 1e6 / rounds }
	res.Train, res.Wire, res.Up, res.Down = median(trained), mb(wire), mb(up), mb(down)
	res.Full = float64(4*r.Params*r.Sites) / 1e6
	if !r.Processes {
		mb := float64(r.whole[atEnd].RSS) / 1e6
		res.CPU, res.RSS.Process = (r.whole[atStop].CPU-r.whole[atStart].CPU-r.floor.cpuWithin())/rounds, &mb
		return
	}
	for _, s := range cpu {
		res.CPU += s
	}
	res.CPUByRole, res.RSS = byRole(cpu), *byRole(rss)
}

func byRole(m map[string]float64) *ByRole {
	of := func(role string) *float64 {
		if v, ok := m[role]; ok {
			return &v
		}
		return nil
	}
	return &ByRole{Aggregator: of("aggregator"), Broker: of("broker"), Site: of("site")}
}
