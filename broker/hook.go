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

// maxWill is the largest payload of a Last Will, a JSON presence.
const maxWill = 4 << 10

// hook is everything this package has to say to the library: who may connect,
// what each may do, and where retained messages are kept.
type hook struct {
	mqtt.HookBase
	open     bool
	users    map[string]*access // read only after newHook
	log      zerolog.Logger
	refused  limiter
	denied   limiter
	server   *mqtt.Server
	retained *store.Retained // nil: in memory only

	begins beginning
	tally  tally

	keep sync.Mutex // orders what goes to retained
	subs sync.Map   // *mqtt.Client -> uint16, packet id of the SUBSCRIBE being answered
}

// access is what one user may do.
type access struct {
	password    password
	read, write []string
	wills       []string
}

func newHook(cfg Config) (*hook, error) {
	h := &hook{open: cfg.Open, users: map[string]*access{}, log: cfg.Log}
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
		a := &access{}
		var err error
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

// add gives a the rules of one more party. Only aggregators and sites have a
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
	case topics.RoleSite:
		a.wills = append(a.wills, ns.Node(p.Path)+"/"+topics.Marker+"/"+topics.State.String())
	case topics.RoleAggregator:
		a.wills = append(a.wills, ns.Node(p.Owner)+"/"+topics.Marker+"/"+topics.State.String())
	}
}

// ID names the hook in the library's log.
func (h *hook) ID() string { return "fedmq" }

// Provides tells the library which methods to call.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnRetainMessage, mqtt.OnRetainedExpired, mqtt.StoredRetainedMessages:
		return h.retained != nil
	}
	return bytes.IndexByte([]byte{
		mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnDisconnect,
		mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnPacketEncode,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
	}, b) >= 0
}

// OnConnectAuthenticate lets a client in, or answers CONNACK 5 (not
// authorised).
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	if h.open {
		return true
	}
	name, why := h.identify(cl, pk.Connect)
	if why == "" {
		why = h.admit(h.users[name], name, cl.ID, pk.Connect)
	}
	if why != "" {
		h.tally.refused.Add(1)
		h.refused.log(h.log.Warn(), time.Now(), func(e *zerolog.Event) {
			e.Str("user", cut(name)).Str("client", cut(cl.ID)).Str("remote", cl.Net.Remote).
				Str("why", why).Msg("connection refused")
		})
		return false
	}
	cl.Properties.Username = []byte(name) // whom the access list looks up
	return true
}

// identify says who a client is: by the pipe it came through, by its
// certificate, or by user name and password. why is empty when that is proven.
func (h *hook) identify(cl *mqtt.Client, con packets.ConnectParams) (name, why string) {
	said := string(con.Username)
	proven := ""
	if c, ok := cl.Net.Conn.(*conn); ok {
		if proven = c.user; proven == "" {
			proven = c.certName()
		}
	}
	switch {
	case proven != "" && con.UsernameFlag && said != proven:
		return said, "user name differs from the certificate's"
	case proven != "":
		if h.users[proven] == nil {
			return proven, "unknown user"
		}
		return proven, ""
	case !con.UsernameFlag:
		return "", "no user name"
	case h.users[said] == nil:
		return said, "unknown user"
	case !h.users[said].password.check(con.Password):
		return said, "wrong password"
	}
	return said, ""
}

// admit checks the client id, so that nobody takes over another user's
// session, and the Will, which the library would publish unasked.
func (h *hook) admit(a *access, name, id string, con packets.ConnectParams) (why string) {
	if id != name && !strings.HasPrefix(id, name+":") {
		return "client id is neither the user name nor starts with it and a colon"
	}
	if !con.WillFlag {
		return ""
	}
	for _, t := range a.wills {
		if con.WillTopic == t && con.WillQos <= 1 && len(con.WillPayload) <= maxWill {
			return ""
		}
	}
	return "Last Will is not the presence of the user's own node (QoS 0 or 1, up to 4 KiB)"
}

// OnACLCheck is asked with the filters of a SUBSCRIBE, the topic of a PUBLISH,
// and the topic of each delivery. It does not allocate when it allows.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if h.open {
		return true
	}
	a := h.users[string(cl.Properties.Username)]
	if a == nil {
		return false
	}
	if !write {
		return contained(a.read, topic)
	}
	if contained(a.write, topic) {
		return true
	}
	h.logDenied(cl, "publish", topic)
	return false
}

func contained(allowed []string, needle string) bool {
	for _, f := range allowed {
		if topics.Contains(f, needle) {
			return true
		}
	}
	return false
}

func (h *hook) logDenied(cl *mqtt.Client, what, topic string) {
	h.tally.denied.Add(1)
	h.denied.log(h.log.Warn(), time.Now(), func(e *zerolog.Event) {
		e.Str("client", cut(cl.ID)).Str("operation", what).Str("topic", cut(topic)).Msg("denied")
	})
}

// OnSubscribed logs denied filters.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	for i, code := range codes {
		if code >= packets.ErrUnspecifiedError.Code && i < len(pk.Filters) {
			h.logDenied(cl, "subscribe", pk.Filters[i].Filter)
		}
	}
}

// OnPacketRead ends a connection that publishes to $-topics: the library
// would drop the message without an answer and leave the client waiting for
// its PUBACK for ever (M6). Wildcards in a topic it refuses itself.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type == packets.Publish && strings.HasPrefix(pk.TopicName, "$") {
		h.logDenied(cl, "publish", pk.TopicName)
		return pk, packets.ErrRejectPacket
	}
	giveRoomBack(cl, pk)
	return pk, nil
}
