package broker

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/topics"
)

const (
	// maxWill is the largest payload of a Last Will, a JSON presence.
	maxWill = 4 << 10
	// maxTopic is the longest topic or filter in bytes: twice the longest of
	// fedmq's own.
	maxTopic = 1 << 10
	// maxLevels is how many levels a topic or filter may have; each costs the
	// library some 600 bytes. fedmq's own have half as many.
	maxLevels = 32
)

// hook is everything this package has to say to the library: who may connect,
// what each may do, and where retained messages are kept.
type hook struct {
	mqtt.HookBase
	open     bool
	users    map[string]*access // read only after newHook
	ns       topics.Namespace
	log      zerolog.Logger
	lines    lines
	limits   Limits
	accounts *accountant
	logins   *logins
	sessions *sessions
	delays   delays
	server   *mqtt.Server
	retained *store.Retained // nil: in memory only

	begins beginning
	tally  tally
	shares shares

	retaining sync.Mutex // what goes to retained and retention has its order
	retention retention
}

// access is what one user may do.
type access struct {
	password    password
	limits      RoleLimits
	read, write []string
	wills       []string
}

func newHook(cfg Config) (*hook, error) {
	accounts, err := newAccountant(cfg.Limits, cfg.Open)
	if err != nil {
		return nil, err
	}
	h := &hook{
		open: cfg.Open, users: map[string]*access{}, ns: cfg.Namespace, log: cfg.Log,
		limits: cfg.Limits, accounts: accounts, logins: newLogins(), sessions: newSessions(), delays: delays{users: map[string]map[string]time.Time{}},
	}
	if cfg.Open {
		return h, nil
	}
	for _, u := range cfg.Users {
		if err := checkUserName(u.Name); err != nil {
			return nil, err
		}
		if h.users[u.Name] != nil {
			return nil, fmt.Errorf("broker: user %q is listed twice", u.Name)
		}
		a := &access{limits: cfg.Limits.of(u.Parties)}
		if a.password, err = newPassword(u); err != nil {
			return nil, err
		}
		for _, p := range u.Parties {
			rules := cfg.Namespace.Rules(p)
			if len(rules) == 0 {
				return nil, fmt.Errorf("broker: user %q: role %s with path %q and owner %q may do nothing", u.Name, p.Role, p.Path, p.Owner)
			}
			a.add(cfg.Namespace, p, rules)
		}
		h.users[u.Name] = a
	}
	return h, nil
}

// add gives a the rules of one more party. Aggregators, sites and consumers have a
// presence, and with it a Will.
func (a *access) add(ns topics.Namespace, p topics.Party, rules []topics.Rule) {
	for _, r := range rules {
		if r.Write {
			a.write = append(a.write, r.Filter)
		} else {
			a.read = append(a.read, r.Filter)
		}
	}
	switch p.Role {
	case topics.RoleSite, topics.RoleConsumer:
		a.wills = append(a.wills, ns.Node(p.Path)+"/"+topics.Marker+"/"+topics.State.String())
	case topics.RoleAggregator:
		a.wills = append(a.wills, ns.Node(p.Owner)+"/"+topics.Marker+"/"+topics.State.String())
	}
}

// ID names the hook in the library's log.
func (h *hook) ID() string { return "fedmq" }

// Provides tells the library which methods to call.
func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnDisconnect,
		mqtt.OnSubscribe, mqtt.OnUnsubscribe, mqtt.OnPacketEncode,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnPublish, mqtt.OnRetainMessage, mqtt.OnRetainedExpired, mqtt.OnWill,
		mqtt.OnQosPublish, mqtt.OnClientExpired, mqtt.OnSysInfoTick,
	}, b) >= 0
}

// OnACLCheck is asked with the topic of a PUBLISH, and of each delivery, which what is
// retained on the topic goes before. It does not allocate when it allows.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	r := h.mayNot(cl, topic, write)
	if r != 0 && write {
		h.logDenied(cl, r, "publish", topic)
	}
	if c, ok := cl.Net.Conn.(*conn); ok && r == 0 && !write {
		h.sendBefore(cl, &c.backlog, topic)
	}
	return r == 0
}

// mayNot is the access list's answer, 0 for yes. A publish has to be to a topic
// of fedmq's grammar: nothing else below a party's own node has a reader.
func (h *hook) mayNot(cl *mqtt.Client, topic string, write bool) Reason {
	if tooLong(topic) {
		return ReasonTopicLength
	}
	if h.open {
		return 0
	}
	a := h.users[string(cl.Properties.Username)]
	switch {
	case a == nil:
		return ReasonTopic
	case !write && !contained(a.read, topic):
		return ReasonFilter
	case write && !contained(a.write, topic):
		return ReasonTopic
	case write:
		if _, err := h.ns.Parse(topic); err != nil {
			return ReasonTopic
		}
	}
	return 0
}

func tooLong(topic string) bool {
	return len(topic) > maxTopic || strings.Count(topic, "/") >= maxLevels
}

func contained(allowed []string, needle string) bool {
	for _, f := range allowed {
		if topics.Contains(f, needle) {
			return true
		}
	}
	return false
}

func (h *hook) logDenied(cl *mqtt.Client, r Reason, what, topic string) {
	h.refuse(r, cl.Net.Remote, "denied", func(e *zerolog.Event) {
		e.Str("client", cut(cl.ID)).Str("operation", what).Str("topic", cut(topic))
	})
}

// OnPacketRead ends a connection that publishes to $-topics: the library
// would drop the message without an answer and leave the client waiting for
// its PUBACK for ever (M6). Wildcards in a topic it refuses itself. Likewise what
// is beyond a limit and has no answer that says so.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	detach(&pk)
	switch pk.FixedHeader.Type {
	case packets.Publish:
		h.lifted(cl, &pk)
		if strings.HasPrefix(pk.TopicName, "$") {
			h.logDenied(cl, ReasonTopic, "publish", pk.TopicName)
			return pk, packets.ErrRejectPacket
		}
		if r := h.tooMuch(cl, &pk); r != 0 && !canAnswer(cl, &pk) && h.mayNot(cl, pk.TopicName, true) == 0 {
			h.logRetained(cl, r, &pk)
			return pk, packets.ErrRejectPacket
		}
	case packets.Subscribe:
		if h.tooManySubscriptions(cl, &pk) {
			h.logDenied(cl, ReasonSubscriptions, "subscribe", pk.Filters[0].Filter)
			return pk, packets.ErrRejectPacket
		}
	}
	return pk, nil
}
