package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/strategy"
)

// peerSpec is what a party is told first, one JSON object.
type peerSpec struct {
	Role     string // broker, aggregator, site, or their like in the floor: relay, folder, sender
	Name     string
	Dir      string // for its data
	Address  string // of the broker, or of the relay
	Params   int
	PartSize int
	Seed     uint64
	Changed  float64
	Sites    int
	Site     int    // of a site, from 0
	Rounds   uint64 // of the task
	Block    uint64 // rounds from one turn of the floor to the next; 0: it has none
	Trace    bool   // note when messages pass

	Strategy       string // of the task; "" for FedAvg
	StrategyParams strategy.Settings

	Profile string // directory for profiles; "" for none
}

// holds reports whether a site waits in a round, before it trains, until it is told to
// go on: once all of them do, the federation has nothing to do, and the floor its turn.
func (s peerSpec) holds(round uint64) bool {
	return s.Block > 0 && round > warmUp && round <= s.Rounds && (round-warmUp-1)%s.Block == 0
}

// What a party is asked afterwards, one JSON string each.
const (
	askUsage = "usage"
	askGo    = "go"
)

// peerEvent is what a party says, one JSON object each; one field is set.
type peerEvent struct {
	Ready  *string     `json:"ready,omitempty"` // the address it listens on, if any
	Record *peerRecord `json:"record,omitempty"`
	Ended  *string     `json:"ended,omitempty"` // the task; empty when it finished
	Usage  *peerUsage  `json:"usage,omitempty"`
	Held   *uint64     `json:"held,omitempty"` // the round in which a site waits
	Lap    *float64    `json:"lap,omitempty"`  // seconds
	Done   *string     `json:"done,omitempty"` // last words; empty without an error
}

type peerRecord struct {
	Round   uint64  `json:"round"`
	Work    string  `json:"work"`
	At      float64 `json:"at"` // seconds on the aggregator's monotonic clock
	Verdict string  `json:"verdict"`
	Reason  string  `json:"reason"`
	Counted int     `json:"counted"`
	Close   float64 `json:"close"` // seconds from the closing of the accepted set to the commit
	Model   string  `json:"model"`
	Unix    int64   `json:"unix"` // nanoseconds since 1970
}

type peerUsage struct {
	CPU     float64   `json:"cpu"`     // user and system seconds of the process
	RSS     int64     `json:"rss"`     // its peak, bytes
	Read    int64     `json:"read"`    // bytes from the party's socket
	Written int64     `json:"written"` // bytes to it
	Times   []float64 `json:"times"`   // seconds of each training
	Marks   []mark    `json:"marks"`   // of a trace
}

// peer is the inside of a party.
type peer struct {
	peerSpec
	log   zerolog.Logger
	mu    sync.Mutex
	out   *json.Encoder
	goes  chan struct{}           // one for each askGo
	alone func(aggregator.Config) // in its process: for an aggregator before it runs; else nil
	usage func(*peerUsage)
	trace *tracer // nil: none
}

// roles are what a party can be; each runs until ctx ends.
var roles = map[string]func(*peer, context.Context) error{
	"broker": (*peer).broker, "aggregator": (*peer).aggregator, "site": (*peer).site,
	"relay": (*peer).relay, "folder": (*peer).folder, "sender": (*peer).sender,
}

// RunPeer is a party's life, as it is told on in: it ends when in does, and says
// done last on out. alone means that the process has nobody else in it, and is
// called with an aggregator's configuration before it runs.
func RunPeer(ctx context.Context, in io.Reader, out io.Writer, log zerolog.Logger, alone func(aggregator.Config)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &peer{log: log, out: json.NewEncoder(out), goes: make(chan struct{}, 1), alone: alone, usage: func(*peerUsage) {}}
	asks := json.NewDecoder(in)
	if err := asks.Decode(&p.peerSpec); err != nil {
		return fmt.Errorf("what to be: %w", err)
	}
	run := roles[p.Role]
	if run == nil {
		return fmt.Errorf("no role %q", p.Role)
	}
	stop := func() error { return nil }
	if alone != nil {
		var err error
		if stop, err = startProfile(p.Profile, p.Name); err != nil {
			return err
		}
	}
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		defer cancel()
		p.listen(ctx, asks)
	}()
	err := errors.Join(run(p, ctx), stop())
	words := ""
	if err != nil {
		words = err.Error()
	}
	p.say(peerEvent{Done: &words})
	<-listened
	return err
}

// listen serves what the party is asked until its input ends.
func (p *peer) listen(ctx context.Context, asks *json.Decoder) {
	for {
		var ask string
		if asks.Decode(&ask) != nil {
			return
		}
		switch ask {
		case askUsage:
			u := peerUsage{}
			u.CPU, u.RSS = processUsage()
			p.mu.Lock()
			fill := p.usage
			p.mu.Unlock()
			fill(&u)
			p.say(peerEvent{Usage: &u})
		case askGo:
			select {
			case p.goes <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}
}

// measured sets what a usage has beside the process's.
func (p *peer) measured(fill func(*peerUsage)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.usage = fill
}

// say tells the parent. An error means that there is none any more, which the
// end of the input tells as well.
func (p *peer) say(e peerEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(e)
}

func (p *peer) ready(address string) { p.say(peerEvent{Ready: &address}) }

// startProfile writes a CPU profile of this process to dir, and one of what it
// has allocated at the end.
func startProfile(dir, name string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
	if err != nil {
		return nil, err
	}
	return profileTo(f, filepath.Join(dir, name+".heap.pprof"))
}
