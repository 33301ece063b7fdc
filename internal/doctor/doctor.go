// Package doctor measures what an MQTT broker takes: the packet limit, what it
// keeps retained and gives back, how deep it queues, whether it sends Wills,
// and what its access list lets through. From that it advises settings.
//
// Start with Run. It knows no broker by name, uses topics of the grammar below
// one node only (and, to see whether it may, one message on a topic beside it),
// and clears every retained topic and session it made, also when interrupted.
package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// Config says what to examine. Link's Broker and Namespace are required.
type Config struct {
	// Link is how to reach the broker; client id, Will and MaxPacket are the
	// examination's own.
	Link link.Config
	// Namespace is the enterprise's prefix of the UNS.
	Namespace string
	// Node is the path, below the namespace, of the node whose topics are used;
	// default: fedmq-doctor/<random>.
	Node string
	// Restart, if set, is called once the broker should be restarted, with a
	// wait of up to RestartWait for it to go and come back.
	Restart func()
	// Gentle sends less: about a tenth of the bytes.
	Gentle bool
	// Step is called with the name of each step before it; nil: silence.
	Step func(name string)

	extent extent // tests take less; zero: whole
}

// extent is how much is tried.
type extent struct {
	packet   int // largest packet, bytes
	wildcard int // small retained messages under one wildcard
	order    int // messages to a subscriber that keeps up
	queue    int // messages to one that does not
	parts    int // retained ones of part size, asked for by exact topic
}

// whole tries what fedmq can want: a part of the largest part_size with its
// topic, and more messages than the 1,000 that brokers like to stop at.
var whole = extent{packet: 4<<20 + 8<<10, wildcard: 1500, order: 500, queue: 2000, parts: 16}

// Times of an examination.
const (
	Budget      = 50 * time.Second // no step begins after it; restarts are not counted
	RestartWait = 5 * time.Minute
	leastWait   = time.Second     // for a message that may not come
	mostWait    = 5 * time.Second // likewise, on a slow link
	slowPacket  = 5 * time.Second // larger packets are not tried after one took so long
	cleanTime   = 15 * time.Second
)

const (
	task     = "doctor"
	roleName = "doctor"
)

// ErrDenied says that the user may not use the topics of the examination.
var ErrDenied = errors.New("doctor: the broker denies the topics of the examination")

// exam is one examination.
type exam struct {
	cfg    Config
	own    topics.Member
	owner  topics.Owner
	other  topics.Member // beside our node
	beside string        // a filter over other nodes that other's topics match
	// nowhere is a topic outside the namespace
	nowhere string
	prefix  string // of client ids
	opened  int
	wait    time.Duration
	dirty   map[string]bool // topics with a retained message of ours
	kept    []string        // client ids with a session at the broker
	report  *Report
}

// Run examines the broker. The report is valid as far as it went even when the
// error is not nil; the error then says what was in the way, or what was left
// behind.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	began := time.Now()
	e, err := newExam(cfg)
	if err != nil {
		return nil, err
	}
	err = e.explain(ctx, e.steps(ctx, began))
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	err = errors.Join(err, e.clean(clean))
	e.report.Seconds = time.Since(began).Seconds()
	e.report.advise(longestTopic(e.cfg.Namespace))
	return e.report, err
}

func newExam(cfg Config) (*exam, error) {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	random := hex.EncodeToString(b[:])
	ns, err := topics.New(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	if cfg.Node == "" {
		cfg.Node = "fedmq-doctor/" + random
	}
	switch {
	case cfg.extent != extent{}:
	case cfg.Gentle:
		cfg.extent = gentle
	default:
		cfg.extent = whole
	}
	e := &exam{cfg: cfg, wait: leastWait, dirty: map[string]bool{}}
	if e.own, err = ns.Member(cfg.Node, task); err != nil {
		return nil, err
	}
	if e.owner, err = ns.Owner(cfg.Node, task); err != nil {
		return nil, err
	}
	if e.other, err = ns.Member("fedmq-doctor-beside/"+random, task); err != nil {
		return nil, err
	}
	e.beside = ns.Node("+/"+random) + "/" + topics.Marker + "/" + task + "/status"
	e.prefix = link.PartyID(cmp.Or(cfg.Link.Username, "fedmq"), fmt.Sprintf("%s-%s-", roleName, random))
	e.nowhere = "fedmq-doctor-" + random
	e.report = &Report{Schema: Schema, Broker: link.Shown(cfg.Link.Broker), Node: ns.Node(cfg.Node), Names: []string{}}
	return e, nil
}

// step is one measurement. It returns an error only if the examination cannot
// go on; what a broker does not do is a result.
type step struct {
	name string
	run  func(context.Context) error
}

func (e *exam) steps(ctx context.Context, began time.Time) error {
	steps := []step{
		{"what it announces", e.announced},
		{"messages", e.meet},
		{"messages in a row", e.inARow},
		{"historian", e.historian},
		{"names", e.names},
		{"packet limit", e.packets},
		{"retained", e.retained},
		{"retained size", e.retainedSize},
		{"retained through wildcards", e.wildcard},
		{"Last Will", e.will},
		{"order", e.order},
		{"queue", e.queue},
		{"sessions", e.session},
		{"shared subscriptions", e.shared},
		{"QoS 2", e.qos2},
		{"access", e.access},
	}
	for _, s := range steps {
		if time.Since(began) > Budget {
			e.report.Skipped = append(e.report.Skipped, s.name)
			continue
		}
		if err := e.step(ctx, s); err != nil {
			return err
		}
	}
	if e.cfg.Restart != nil {
		return e.step(ctx, step{"restart", e.restart})
	}
	return nil
}

func (e *exam) step(ctx context.Context, s step) error {
	if e.cfg.Step != nil {
		e.cfg.Step(s.name)
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// longestTopic is the length of the longest topic that carries a part-sized
// message below the namespace: a reply to a member, whose node has at most
// topics.MaxNode bytes.
func longestTopic(ns string) int {
	return topics.MaxNode + len("/"+topics.Marker+"/") + topics.MaxLevel + len("/reply/") + topics.MaxNode - len(ns)
}
