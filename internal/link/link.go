// Package link is the one MQTT 3.1.1 connection of a party: it connects,
// reconnects with a jittered back-off, keeps the table of subscriptions, says
// honestly what became of each publish, and survives a broker that lies.
//
// Start: New(Config), fill the table with Subscribe, then run Run(ctx) in a
// goroutine of the driver, read States and Messages, and send with Publish
// (waits for the PUBACK) or Post (never waits).
//
// It never resends data by itself (retained posts excepted), never blocks the
// reader of the connection, never logs a payload, and never claims delivery: a
// PUBACK says that the broker took a message, no more. Its rules are numbered
// C-1 to C-19 in docs/spec/link.md and cited where they are kept.
package link

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/topics"
)

// Errors of the package; they arrive wrapped with the topic, filter or broker
// concerned, so compare with errors.Is.
var (
	// ErrNotConnected: nothing was sent, because the link was not up (from
	// State.Up to the loss). The caller may send again at the next State.Up.
	ErrNotConnected = errors.New("link: not connected")
	// ErrOutcomeUnknown: the message was handed to the network and no PUBACK
	// came in the same connection. It may or may not have arrived (C-1, C-4).
	ErrOutcomeUnknown = errors.New("link: outcome unknown")
	// ErrTooLarge: the packet exceeds Config.MaxPacket; nothing was sent (C-2).
	ErrTooLarge = errors.New("link: packet too large")
	// ErrQuarantined: the topic cost the link twice and is not sent for up to
	// QuarantineTime (C-16).
	ErrQuarantined = errors.New("link: topic quarantined")
	// ErrDenied: the broker refuses a subscription (C-7, C-16).
	ErrDenied = errors.New("link: subscription denied")
	// ErrRefused: the broker answered CONNECT with a refusal.
	ErrRefused = errors.New("link: connection refused by the broker")
	// ErrIDInUse: the link is lost again right after CONNECT, as it happens when
	// two clients use one client id (C-14).
	ErrIDInUse = errors.New("link: client id in use?")
	// ErrTopic: the topic cannot be published to (empty, wildcard, too long).
	ErrTopic = errors.New("link: bad topic")
)

// Fixed numbers of the connection (C-3, C-4, C-8, C-9, C-14, C-16, C-19).
const (
	KeepAlive      = 60 * time.Second // MQTT keep-alive
	PingTimeout    = 30 * time.Second // wait for PINGRESP before the link counts as lost
	WriteTimeout   = 60 * time.Second // one packet must leave within this
	ConnectTimeout = 30 * time.Second // dial and handshake, each

	// QuarantineTime is how long, at most, a topic that cost the link twice is
	// refused: 30 s at first, doubled each time. After it one message is tried
	// alone.
	QuarantineTime = 10 * time.Minute

	firstQuarantine = 30 * time.Second

	drainTime     = 5 * time.Second // for publishes in flight when Run ends
	filtersPerSub = 8               // filters in one SUBSCRIBE
	inFlight      = 64              // unacknowledged small messages
	smallMessage  = 4 << 10         // bytes; from here on a message counts as a part
	partWeight    = inFlight / 8    // so that at most 8 parts are unacknowledged
	roomFor       = 2 * time.Minute // that an unacknowledged message takes room
	mostLost      = 1 << 10         // messages without a PUBACK, with and without room, that end a connection

	defaultMaxPacket  = 1<<20 + 64<<10
	defaultQueue      = 1024
	defaultQueueBytes = 64 << 20
	defaultSpareBytes = 4 << 20
)

// Message is one MQTT message, in or out. The payload of a received message
// belongs to the receiver; the payload of a sent one must not change any more
// (C-15).
type Message struct {
	Topic    string
	Head     []byte // of one to send: bytes before Payload, so that they need not be joined; nil of one that came
	Payload  []byte
	QoS      byte // 0 or 1
	Retained bool
}

// Filter is one subscription: a topic filter and the QoS asked for, 0 or 1.
type Filter struct {
	Topic string
	QoS   byte
}

// State tells a change of the link. Up is sent once per connection, when every
// filter of the table has its SUBACK; filters refused are named in Err
// (ErrDenied). A second Up with the same Epoch reports a denial that came
// later. Up false carries the reason in Err: the loss, or a failed attempt.
type State struct {
	Up    bool
	Epoch uint64 // number of the connection, from 1; 0 before the first
	Err   error
}

// PartyID is the client id of a party: who it logs in as, its role, and what it is
// there (C-14).
func PartyID(user, role string, of ...string) string {
	parts := []string{topics.Escape(user), role}
	for _, name := range of {
		parts = append(parts, topics.Escape(name))
	}
	return strings.Join(parts, ":")
}

// UniqueID is a client id of its own for a command of a user, of which any number may
// run, on machines and in containers that count their processes alike (C-14).
func UniqueID(user, role string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return PartyID(user, fmt.Sprintf("%s-%x", role, b))
}

// Config says how to connect. The zero value of every field but Broker and
// ClientID is usable.
type Config struct {
	// Broker is the address, or those of one cluster with a comma between, one of tcp://, mqtt:// (port 1883), ssl://,
	// tls://, mqtts:// (8883), ws:// (80), wss:// (443). Required unless Dial
	// is set.
	Broker string
	// ClientID is the MQTT client id, unique at the broker, such as PartyID makes
	// (C-14). Required.
	ClientID string
	// Username and Password; empty means none.
	Username, Password string
	// TLS is the configuration for tls and wss brokers; nil means the
	// system's roots. The server's name is taken from Broker when not set.
	TLS *tls.Config
	// Headers go with the request for a WebSocket, such as the key that a proxy
	// wants; they are secrets, and in no log.
	Headers http.Header
	// Will is the Last Will, sent by the broker when the link is lost but not
	// when Run ends politely (C-17). nil means none.
	Will *Message
	// Deepest is the topic with the most levels that this party uses, for the word
	// on brokers that count them; "" says nothing.
	Deepest string
	// Dial replaces the way to open the byte stream (tests, in-process
	// brokers); no TLS or WebSocket is put on it.
	Dial func(ctx context.Context) (net.Conn, error)
	// Log receives connects, losses and refusals, never payloads (C-18).
	Log zerolog.Logger
	// MaxPacket is the largest MQTT packet in bytes, both ways (C-2, C-13).
	// Default 1 MiB + 64 KiB, range 4 KiB to 256 MiB.
	MaxPacket int
	// Queue bounds received messages waiting to be read from Messages, and
	// posts waiting to be sent. Default 1024.
	Queue int
	// QueueBytes bounds the payload bytes of each of the two. Default 64 MiB.
	QueueBytes int
	// SpareBytes bounds the payloads that are kept for messages to come, once Spent has
	// given them back. Default 4 MiB.
	SpareBytes int
	// Coalesce gives the key under which a received message replaces an older
	// one that is still waiting; "" keeps every message (C-5). nil keeps all.
	Coalesce func(topic string, payload []byte) string
	// Bulk says which uncoalesced topics are dropped first when the queue is
	// full; what is not bulk may use four times the room (C-5). nil means all
	// uncoalesced ones.
	Bulk func(topic string) bool
}

// Conn is one party's link. All methods are safe for concurrent use.
type Conn struct {
	cfg      Config
	addrs    []address // one, or those of a cluster
	log      zerolog.Logger
	messages chan Message
	states   chan State
	inbox    *inbox
	spare    spare
	posts    *posts
	back     *backoff
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	plain    atomic.Bool // the port was asked and does not speak TLS

	proof   Proof        // of Run alone, once Prove was asked, as are
	named   bool         // the broker takes the names, or does not tell
	trusted []bool       // of addrs, once Prove was asked: proven to be of one cluster; of Run alone then
	at      atomic.Int64 // of addrs: the address in use
	failed  int          // attempts since the last connection, over the list; of Run alone, as are
	reached bool         // the last attempt found a listener; of Run alone, as are
	noes    int          // how often in a row the broker said no, and
	asked   time.Time    // when it was asked why

	mu       sync.Mutex
	ran      bool
	closing  bool     // Run is ending: nothing new is taken
	up       *session // while State.Up, else nil
	cur      *session // connected, up or not yet
	will     *Message // of the connections to come
	table    table
	suspects suspects

	toldLarge time.Time // when the log last spoke of a message over MaxPacket
	stats     Stats
}

// New checks the configuration and makes a Conn that is not yet connected; it
// starts nothing.
func New(cfg Config) (*Conn, error) {
	c := &Conn{messages: make(chan Message), states: make(chan State, 16)}
	if cfg.ClientID == "" {
		return nil, errors.New("link: no client id")
	}
	if cfg.Dial == nil {
		var err error
		if c.addrs, err = parseBrokers(cfg.Broker); err != nil {
			return nil, err
		}
		for _, a := range c.addrs {
			if err = errors.Join(checkHeaders(a, cfg.Headers), checkLevels(a, cfg.Deepest)); err != nil {
				return nil, err
			}
		}
	}
	if cfg.MaxPacket == 0 {
		cfg.MaxPacket = defaultMaxPacket
	}
	if cfg.MaxPacket < 4<<10 || cfg.MaxPacket > 256<<20 {
		return nil, fmt.Errorf("link: MaxPacket %d, want 4 KiB to 256 MiB", cfg.MaxPacket)
	}
	if cfg.Queue < 0 || cfg.QueueBytes < 0 || cfg.SpareBytes < 0 {
		return nil, errors.New("link: Queue, QueueBytes and SpareBytes must not be negative")
	}
	if cfg.Queue == 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = defaultQueueBytes
	}
	if cfg.SpareBytes == 0 {
		cfg.SpareBytes = defaultSpareBytes
	}
	if w := cfg.Will; w != nil {
		if err := checkTopic(w.Topic); err != nil {
			return nil, fmt.Errorf("link: will: %w", err)
		}
	}
	c.cfg, c.will = cfg, cfg.Will
	c.log = cfg.Log.With().Str("client_id", cfg.ClientID).Logger()
	c.inbox, c.spare.most = newInbox(&c.cfg), c.cfg.SpareBytes
	c.posts = newPosts(&c.cfg)
	c.back = newBackoff()
	c.table.subs = map[string]*subscription{}
	c.suspects = suspects{}
	return c, nil
}

// SetWill replaces the Last Will, from the next connection on.
func (c *Conn) SetWill(w Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.will = &w
}

// Share says how many parties share the broker: from then on reconnects are
// spread over max(5 s, 5 ms x members), so that a broker that comes back is not
// met by all of them at once (C-9).
func (c *Conn) Share(members int) { c.back.members.Store(int64(members)) }

// Messages delivers what was received, in order per topic. It is never closed.
func (c *Conn) Messages() <-chan Message { return c.messages }

// States delivers changes of the link. It holds the newest 16 and is never
// closed; a slow reader misses the oldest.
func (c *Conn) States() <-chan State { return c.states }

// emit queues a state; when nobody reads, the oldest gives way. The caller
// holds mu, so that states keep their order.
func (c *Conn) emit(s State) {
	for {
		select {
		case c.states <- s:
			return
		default:
		}
		select {
		case <-c.states:
		default:
		}
	}
}
