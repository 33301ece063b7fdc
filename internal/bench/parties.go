package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/collect"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
)

const (
	rootLevel = "fedmq-bench" // first level: each run has one below
	taskName  = "bench"
	deadline  = 10 * time.Minute // of a round: every site is to be in it
)

// broker is the embedded broker as `fedmq broker --open --data-dir` runs it.
func (p *peer) broker(ctx context.Context) error {
	b, err := broker.New(broker.Config{
		TCP: "127.0.0.1:0", Open: true, DataDir: filepath.Join(p.Dir, "broker"), Log: p.log,
		MaxPacket: max(broker.DefaultMaxPacket, p.PartSize+64<<10),
	})
	if err != nil {
		return err
	}
	if err := b.Listen(); err != nil {
		return err
	}
	if p.alone != nil {
		broker.TuneRuntime()
	}
	p.ready("tcp://" + b.Addrs().TCP)
	return b.Run(ctx)
}

func (p *peer) aggregator(ctx context.Context) error {
	init, err := zeros(p.Params)
	if err != nil {
		return err
	}
	began := time.Now()
	dial, count, err := p.dialer()
	if err != nil {
		return err
	}
	p.measured(count)
	cfg := aggregator.Config{
		Broker: p.Address, Namespace: p.namespace(), DataDir: filepath.Join(p.Dir, "aggregator"), PartSize: p.PartSize,
		Log: p.log, Dial: dial,
		Tasks: []aggregator.Task{{
			Name: taskName, Members: []string{"+"}, Rounds: p.Rounds, StartWhen: p.Sites, Quorum: p.Sites,
			Deadline: deadline, Cap: 2, Init: init, Strategy: p.Strategy, StrategyParams: p.StrategyParams, KeepModels: p.kept(),
		}},
		OnRecord: func(_ string, r record.Record) {
			p.say(peerEvent{Record: &peerRecord{
				Round: r.Round, Work: r.Work, At: time.Since(began).Seconds(), Verdict: r.Verdict, Reason: r.Reason,
				Counted: r.Counts()["counted"], Close: float64(r.CommittedMS-r.ClosedMS) / 1000, Model: r.Model.String(), Unix: time.Now().UnixNano(),
			}})
		},
		OnEnd: func(_ string, finished bool, reason string) {
			if finished {
				reason = ""
			}
			p.say(peerEvent{Ended: &reason})
		},
	}
	if p.alone != nil {
		p.alone(cfg)
	}
	return aggregator.Run(ctx, cfg)
}

// kept is how many former versions stay: all where each round is made again (madeAgain).
func (p *peer) kept() int {
	if (Folding{name: p.Strategy}).sums() {
		return 0 // the default
	}
	return -1
}

// hold waits for the floor to have had its turn.
func (p *peer) hold(ctx context.Context, round uint64) {
	if !p.holds(round) {
		return
	}
	p.say(peerEvent{Held: &round})
	select {
	case <-p.goes:
	case <-ctx.Done():
	}
}

func (p *peer) site(ctx context.Context) error {
	t := &noise{series: newSeries(p.Seed, p.Sites).frozen(p.Params, p.Changed), site: p.Site, hold: p.hold, note: p.note}
	dial, count, err := p.dialer()
	if err != nil {
		return err
	}
	p.measured(func(u *peerUsage) {
		count(u)
		u.Times = t.spent()
	})
	if p.alone != nil {
		collect.Late(100, collect.Room)
	}
	return site.Run(ctx, site.Config{
		Broker: p.Address, Namespace: p.namespace(), Member: p.Name, DataDir: filepath.Join(p.Dir, p.Name), Log: p.log, Dial: dial,
		Tasks: []site.Task{{Name: taskName, Trainer: t}},
	})
}

// note marks a moment of a trace.
func (p *peer) note(what string) {
	if p.trace != nil {
		p.trace.note(what)
	}
}

// dialer connects to the broker and counts what passes the socket; a trace notes
// when each message does.
func (p *peer) dialer() (dial func(context.Context) (net.Conn, error), count func(*peerUsage), err error) {
	u, err := url.Parse(p.Address)
	if err != nil {
		return nil, nil, err
	}
	if p.Trace {
		ns, err := topics.New(p.namespace())
		if err != nil {
			return nil, nil, err
		}
		p.trace = &tracer{ns: ns, sent: map[uint16]bool{}}
	}
	var read, written atomic.Int64
	dial = func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return nil, err
		}
		if p.trace != nil {
			c = p.trace.over(c)
		}
		return meteredConn{c, &read, &written}, nil
	}
	return dial, func(u *peerUsage) {
		u.Read, u.Written = read.Load(), written.Load()
		if p.trace != nil {
			u.Marks = p.trace.taken()
		}
	}, nil
}

// namespace is the run's own, so that a broker may serve another one.
func (p *peer) namespace() string { return rootLevel + "/" + filepath.Base(p.Dir) }

// checkBroker refuses a broker whose bytes cannot be counted.
func checkBroker(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "mqtt" || u.Port() == "" {
		return errors.New("--broker: want tcp://host:port")
	}
	return nil
}

// checkReach refuses a broker that is not there: parties would go on trying, as a
// plant's should, and a bench would never end.
func checkReach(ctx context.Context, broker string) error {
	u, err := url.Parse(broker)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return fmt.Errorf("--broker: %w", err)
	}
	return conn.Close()
}

// meteredConn adds up the bytes of each way.
type meteredConn struct {
	net.Conn
	read, written *atomic.Int64
}

func (c meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func (c meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}
