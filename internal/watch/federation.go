package watch

import (
	"errors"
	"fmt"
	"sync"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Config says what is watched. Owner is the node that owns the tasks, "" for
// the namespace itself. Keys finds the aggregator's public key, by which heads
// of records are verified; nil verifies no signature.
type Config struct {
	Namespace topics.Namespace
	Owner     string
	Members   []topics.MemberFilter
	Consumers []topics.MemberFilter // of no effect without members, as all are watched
	Keys      record.Keys
}

// Message is what arrived on a topic. Live says that it was not retained, as
// far as the broker tells.
type Message struct {
	Topic   string
	Payload []byte
	Live    bool
}

// Federation is what is known of one. All methods are safe for concurrent use.
type Federation struct {
	cfg Config

	mu      sync.Mutex
	seq     uint64 // of the last change
	reset   uint64 // views older than this change begin anew: something has gone
	now     int64
	link    LinkView
	owner   OwnerView
	ownSeq  uint64 // of the last change of link or owner
	ignored uint64 // messages that were not understood
	crowded uint64 // sites that found no room
	tasks   map[string]*task
	order   []*task // in the order of their names
	nodes   map[string]*node
	sites   map[siteKey]*site
	list    []*site

	consumers map[siteKey]*consumer

	points int // of all sites' histories
}

type siteKey struct{ task, path string }

// node is the presence of a member, over its tasks.
type node struct {
	known, online bool
	since         int64 // when it came or went, as seen from here
	agent         string
	security      string
	sites         []*site
	uses          []*consumer
}

// New returns a federation of which nothing is known.
func New(cfg Config) *Federation {
	return &Federation{
		cfg: cfg, tasks: map[string]*task{}, nodes: map[string]*node{}, sites: map[siteKey]*site{}, consumers: map[siteKey]*consumer{},
	}
}

var (
	errTooLong = errors.New("watch: longer than 16 kB")
	errForeign = errors.New("watch: no topic that is watched")
	errCrowded = errors.New("watch: no room for more")
)

// Apply takes a message in, at a time in epoch milliseconds of this machine. The
// error says why it was ignored; it is counted, and nobody has to look at it.
func (f *Federation) Apply(m Message, now int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = max(f.now, now)
	err := f.apply(m)
	if err != nil {
		f.ignored++
	}
	return err
}

func (f *Federation) apply(m Message) error {
	if len(m.Payload) > MaxPayload {
		return errTooLong
	}
	t, err := f.cfg.Namespace.Parse(m.Topic)
	if err != nil || !t.Kind.JSON() || t.Kind == topics.Command {
		return errForeign
	}
	switch {
	case t.Kind == topics.Status:
		return f.status(t.Path, t.Task, m)
	case t.Path == f.cfg.Owner && t.Kind == topics.State:
		return f.ownerState(m)
	case t.Kind == topics.State && t.Path != "":
		return f.nodeState(t.Path, m)
	case t.Path != f.cfg.Owner:
		return errForeign
	}
	tk, err := f.task(t.Task)
	if err != nil {
		return err
	}
	switch t.Kind {
	case topics.Round:
		return f.round(tk, m)
	case topics.KPI:
		return f.kpi(tk, t.Name, m)
	case topics.Event:
		return f.event(tk, m)
	case topics.Record:
		return f.head(tk, m)
	case topics.History:
		return f.past(tk, m)
	case topics.ModelAt:
		return nil // a screen has no use for models
	}
	return errForeign
}

// touch numbers a change.
func (f *Federation) touch() uint64 {
	f.seq++
	return f.seq
}

// Link tells the state of the connection to the broker.
func (f *Federation) Link(up bool, reason string, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = max(f.now, now)
	v := LinkView{Up: up, SinceMS: now, Reason: clip(reason, maxText)}
	if v.Up == f.link.Up {
		v.SinceMS = f.link.SinceMS
	}
	if v != f.link {
		f.link, f.ownSeq = v, f.touch()
	}
}

// ownerState is the aggregator's presence.
func (f *Federation) ownerState(m Message) error {
	v := OwnerView{Path: f.cfg.Namespace.Node(f.cfg.Owner)}
	if len(m.Payload) > 0 {
		var s view.State
		if err := read(m.Payload, &s, &s.Schema, view.StateSchema); err != nil {
			return err
		}
		v.Known, v.Online, v.Agent, v.Security = true, s.Online, clip(s.Agent, maxWord), clip(s.Security, maxWord)
		for _, name := range s.Tasks[:min(len(s.Tasks), MaxTasks)] {
			if topics.CheckTask(name) == nil {
				if _, err := f.task(name); err != nil {
					break // no room: those that are there are shown
				}
			}
		}
	}
	v.SinceMS = f.now
	if v.Known == f.owner.Known && v.Online == f.owner.Online {
		v.SinceMS = f.owner.SinceMS
	}
	if v != f.owner {
		f.owner, f.ownSeq = v, f.touch()
	}
	return nil
}

// Tick passes the time: what has become late or silent is seen here.
func (f *Federation) Tick(now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = max(f.now, now)
	for _, s := range f.list {
		f.judge(s)
	}
	for _, t := range f.order {
		for _, r := range t.rounds[max(len(t.rounds)-2, 0):] {
			if r.stale {
				f.spread(t, r)
				r.seq = f.touch()
				t.seq = r.seq
			}
		}
	}
}

// Aim is what a command to a task is meant for, as the task shows it.
type Aim struct {
	Round  uint64
	Pause  string // id of its pause
	Origin wire.Nonce
}

// Task returns the topics of a task that is known, and what a command to it is
// meant for.
func (f *Federation) Task(name string) (o topics.Owner, at Aim, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[name]
	if t == nil {
		return o, at, fmt.Errorf("watch: no task %.64q below %s", name, f.cfg.Namespace.Node(f.cfg.Owner))
	}
	return t.topics, Aim{Round: t.view.Round, Pause: t.pause, Origin: t.said.Origin}, nil
}
