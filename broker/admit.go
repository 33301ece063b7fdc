package broker

import (
	"crypto/tls"
	"net"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/topics"
)

// door counts a connection in, or closes it and returns nil.
func (h *hook) door(c net.Conn) *pass {
	p, oldest, r := h.accounts.enter(c)
	if r != 0 {
		_ = c.Close()
		h.refuse(r, p.host, "connection refused", func(e *zerolog.Event) { e.Str("limit", "per_address") })
		return nil
	}
	if oldest != nil {
		_ = oldest.Close()
		h.refuse(ReasonConnecting, oldest.host, "connection closed", func(e *zerolog.Event) { e.Str("limit", "connecting") })
	}
	return p
}

// passOf finds the pass below TLS and WebSocket.
func passOf(c net.Conn) *pass {
	for {
		switch at := c.(type) {
		case *conn:
			c = at.Conn
		case *wsConn:
			c = at.Conn
		case *tls.Conn:
			c = at.NetConn()
		case *pass:
			return at
		default:
			return nil
		}
	}
}

// OnConnectAuthenticate lets a client in, or answers CONNACK 5 (not
// authorised), or 3 when it may come again (MQTT 5: 0x97).
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	p := passOf(cl.Net.Conn)
	name, reason, why := h.identify(cl, p, pk.Connect)
	if reason == 0 {
		reason, why = h.admit(h.users[name], name, cl.ID, pk.Connect)
	}
	if reason == 0 && p != nil {
		if reason = h.accounts.letIn(p, name, h.limitsOf(name), cl.ID); reason != 0 {
			p.busy, why = true, "too many connections"
		}
	}
	if reason != 0 {
		h.refuse(reason, cl.Net.Remote, "connection refused", func(e *zerolog.Event) {
			e.Str("user", cut(name)).Str("client", cut(cl.ID)).Str("why", why)
		})
		return false
	}
	if !h.open {
		cl.Properties.Username = []byte(name) // whom the access list looks up
	}
	return true
}

// limitsOf returns the limits of a user, "" is everybody of an open broker.
func (h *hook) limitsOf(name string) RoleLimits {
	if a := h.users[name]; a != nil {
		return a.limits
	}
	return h.limits.Anonymous
}

// comeLater tells a client that was refused for now, not for ever, so.
func comeLater(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack || pk.ReasonCode == packets.CodeSuccess.Code {
		return pk
	}
	if p := passOf(cl.Net.Conn); p != nil && p.busy {
		pk.ReasonCode = packets.Err3ServerUnavailable.Code
		if cl.Properties.ProtocolVersion == 5 {
			pk.ReasonCode, pk.Properties.ReasonString = packets.ErrQuotaExceeded.Code, packets.ErrQuotaExceeded.Reason
		}
	}
	return pk
}

// identify says who a client is: by the pipe it came through, by its
// certificate, or by user name and password. The reason is 0 when that is proven.
func (h *hook) identify(cl *mqtt.Client, p *pass, con packets.ConnectParams) (name string, r Reason, why string) {
	if h.open {
		return "", 0, ""
	}
	said := string(con.Username)
	proven := ""
	if c, ok := cl.Net.Conn.(*conn); ok {
		if proven = c.user; proven == "" {
			proven = c.certName()
		}
	}
	switch {
	case proven != "" && con.UsernameFlag && said != proven:
		return said, ReasonCredentials, "user name differs from the certificate's"
	case proven != "":
		if h.users[proven] == nil {
			return proven, ReasonCredentials, "unknown user"
		}
		return proven, 0, ""
	case !con.UsernameFlag:
		return "", ReasonCredentials, "no user name"
	}
	r, why = h.login(p, said, con.Password)
	return said, r, why
}

// login checks a password. Who is known to be right waits for nobody.
func (h *hook) login(p *pass, user string, password []byte) (r Reason, why string) {
	var check func() bool
	why = "unknown user"
	if a := h.users[user]; a != nil {
		why = "wrong password"
		right, known := a.password.quickly(password)
		if right {
			return 0, ""
		}
		if !known {
			check = func() bool { return a.password.slowly(password) }
		}
	}
	of := pairName{user: user}
	var gone chan struct{}
	if p != nil {
		of.host, gone = p.host, p.gone
	}
	right, busy := h.logins.attempt(of, gone, check)
	switch {
	case right:
		return 0, ""
	case busy && p != nil:
		p.busy = true
		return ReasonLogins, "too many logins of that user from there"
	}
	return ReasonCredentials, why
}

// admit checks the client id, so that nobody takes over another user's
// session, and the Will, which the library would publish unasked.
func (h *hook) admit(a *access, name, id string, con packets.ConnectParams) (r Reason, why string) {
	if name := topics.Escape(name); !h.open && id != name && !strings.HasPrefix(id, name+":") {
		return ReasonClientID, "client id is neither the user name, percent-encoded, nor starts with it and a colon"
	}
	if len(id) > maxTopic {
		return ReasonClientID, "client id is longer than 1 KiB"
	}
	if !con.WillFlag {
		return 0, ""
	}
	if h.open {
		switch {
		case tooLong(con.WillTopic):
			return ReasonTopicLength, "Last Will's topic is longer than 1 KiB, or has more than 32 levels"
		case !mqtt.IsValidFilter(con.WillTopic, true), strings.HasPrefix(con.WillTopic, "$"):
			return ReasonWill, "Last Will's topic begins with $ or has wildcards"
		}
		return 0, ""
	}
	for _, t := range a.wills {
		if con.WillTopic == t && con.WillQos <= 1 && len(con.WillPayload) <= maxWill {
			return 0, ""
		}
	}
	return ReasonWill, "Last Will is not the presence of the user's own node (QoS 0 or 1, up to 4 KiB)"
}
