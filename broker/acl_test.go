package broker

import (
	"strings"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The matrix of who may do what, over real connections. Task "q" is owned by
// the namespace's node.
func TestAccessByRole(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.TCP = "127.0.0.1:0"
	b, _ := run(t, cfg)
	type try struct{ op, topic, allowed string } // who is allowed, all others are not
	tries := []try{
		{"pub", "acme/_fl_v1/q/order", "aggregator"},
		{"pub", "acme/_fl_v1/state", "aggregator"},
		{"pub", "acme/_fl_v1/q/reply/berlin/line-1", "aggregator"},
		{"pub", "acme/_fl_v1/q/command", "aggregator op"},
		{"pub", "acme/berlin/line-1/_fl_v1/q/update", "berlin/line-1"},
		{"pub", "acme/berlin/line-1/_fl_v1/state", "berlin/line-1"},
		{"pub", "acme/gera/line-1/_fl_v1/q/update", "gera/line-1"},
		{"pub", "acme/berlin/line-1/scoring/_fl_v1/q/status", "berlin/line-1/scoring"},
		{"pub", "acme/berlin/line-1/scoring/_fl_v1/q/join", ""},
		{"sub", "acme/_fl_v1/q/released", "aggregator berlin/line-1 gera/line-1 berlin/line-1/scoring"},
		{"pub", "acme/berlin/line-11/_fl_v1/q/update", ""},
		{"pub", "acme/berlin/_fl_v1/q/update", ""},
		{"pub", "other/_fl_v1/q/order", ""},
		{"pub", "acme/berlin/line-1/_raw/temperature", ""},
		{"pub", "$SYS/broker/uptime", ""},
		{"pub", "$share/g/acme/_fl_v1/q/order", ""},
		{"pub", "acme/+/line-1/_fl_v1/q/update", ""},
		{"sub", "acme/_fl_v1/q/order", "aggregator berlin/line-1 gera/line-1"},
		{"sub", "acme/_fl_v1/+/order", "aggregator berlin/line-1 gera/line-1"},
		{"sub", "acme/_fl_v1/q/model/0/17", "aggregator berlin/line-1 gera/line-1"},
		{"sub", "acme/_fl_v1/q/reply/berlin/line-1", "berlin/line-1"},
		{"sub", "acme/_fl_v1/q/reply/#", ""},
		{"sub", "acme/_fl_v1/q/reply/+/line-1", ""},
		{"sub", "acme/_fl_v1/q/command", "aggregator"},
		{"sub", "acme/_fl_v1/q/round", "berlin/line-1 gera/line-1 op screen"},
		{"sub", "acme/_fl_v1/q/kpi/rmse", "op screen"},
		{"sub", "acme/+/line-1/_fl_v1/q/update", "aggregator"},
		{"sub", "acme/berlin/line-1/_fl_v1/q/update", "aggregator"},
		{"sub", "acme/+/line-1/_fl_v1/+/status", "aggregator op screen"},
		{"sub", "acme/+/+/_fl_v1/q/update", ""},
		{"sub", "#", ""},
		{"sub", "+/#", ""},
		{"sub", "acme/#", ""},
		{"sub", "acme/_fl_v1/#", ""},
		{"sub", "$SYS/#", ""},
		{"sub", "$share/g/acme/_fl_v1/q/order", ""},
		{"sub", "$share/g/#", ""},
		{"sub", "acme//_fl_v1/q/order", ""},
	}
	for _, u := range cfg.Users {
		t.Run(u.Name, func(t *testing.T) {
			t.Parallel()
			for _, y := range tries {
				c := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: u.Name + ":" + t.Name(), user: u.Name, password: u.Name})
				want := false
				for _, name := range strings.Fields(y.allowed) {
					want = want || name == u.Name
				}
				var got bool
				if y.op == "pub" {
					got = c.publish(y.topic, "x", false)
				} else {
					got = c.subscribe(y.topic, 1) <= 1
				}
				if got != want {
					t.Errorf("%s %s %s: allowed %v, want %v", u.Name, y.op, y.topic, got, want)
				}
				_ = c.conn.Close()
			}
		})
	}
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.TCP = "127.0.0.1:0"
	b, _ := run(t, cfg)
	will := func(topic string, size int, qos byte) *packets.Packet {
		return &packets.Packet{TopicName: topic, Payload: make([]byte, size), FixedHeader: packets.FixedHeader{Qos: qos, Retain: true}}
	}
	const site, state = "berlin/line-1", "acme/berlin/line-1/_fl_v1/state"
	for name, tc := range map[string]struct {
		o    connectOpts
		want byte
	}{
		"client id is the user name":        {connectOpts{id: site, user: site, password: site}, 0},
		"client id has a suffix":            {connectOpts{id: site + ":site", user: site, password: site}, 0},
		"client id of another user":         {connectOpts{id: "gera/line-1", user: site, password: site}, 5},
		"client id with the name as prefix": {connectOpts{id: site + "1", user: site, password: site}, 5},
		"no client id":                      {connectOpts{user: site, password: site}, 5},
		"wrong password":                    {connectOpts{id: site, user: site, password: "guess"}, 5},
		"no password":                       {connectOpts{id: site, user: site}, 5},
		"unknown user":                      {connectOpts{id: "eve", user: "eve", password: "eve"}, 5},
		"no user name":                      {connectOpts{id: site}, 5},
		"own Will":                          {connectOpts{id: site + ":w", user: site, password: site, will: will(state, maxWill, 1)}, 0},
		"aggregator's Will":                 {connectOpts{id: "aggregator:w", user: "aggregator", password: "aggregator", will: will("acme/_fl_v1/state", 10, 1)}, 0},
		"Will on another's state":           {connectOpts{id: site, user: site, password: site, will: will("acme/gera/line-1/_fl_v1/state", 10, 1)}, 5},
		"Will on the order":                 {connectOpts{id: site, user: site, password: site, will: will("acme/_fl_v1/q/order", 10, 1)}, 5},
		"Will on own update":                {connectOpts{id: site, user: site, password: site, will: will("acme/berlin/line-1/_fl_v1/q/update", 10, 1)}, 5},
		"Will too large":                    {connectOpts{id: site, user: site, password: site, will: will(state, maxWill+1, 1)}, 5},
		"Will with QoS 2":                   {connectOpts{id: site, user: site, password: site, will: will(state, 10, 2)}, 5},
		"watcher's Will":                    {connectOpts{id: "screen", user: "screen", password: "screen", will: will("acme/_fl_v1/state", 10, 0)}, 5},
		"operator's Will":                   {connectOpts{id: "op", user: "op", password: "op", will: will("acme/_fl_v1/q/command", 10, 0)}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, code := dial(t, tcp(t, b.Addrs().TCP), tc.o)
			if code != tc.want {
				t.Errorf("CONNACK %d, want %d", code, tc.want)
			}
			if code != 0 {
				if _, more := c.next(); more {
					t.Error("the connection goes on after a refusal")
				}
			}
		})
	}
}

func TestWillIsPublished(t *testing.T) {
	t.Parallel()
	b, _ := run(t, plant(t))
	const topic = "acme/berlin/line-1/_fl_v1/state"
	agg := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	if code := agg.subscribe(topic, 1); code != 1 {
		t.Fatalf("SUBACK %#x", code)
	}
	site := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1", will: &packets.Packet{TopicName: topic, Payload: []byte("gone")}})
	_ = site.conn.Close()
	if at, what := agg.message(); at != topic || what != "gone" {
		t.Errorf("got %s on %s", what, at)
	}
}

// A session keeps its subscriptions in the library whatever the access list
// says later, so each delivery is checked again.
func TestDeliveryIsChecked(t *testing.T) {
	t.Parallel()
	b, _ := run(t, plant(t))
	site := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
	b.server.Topics.Subscribe("berlin/line-1", packets.Subscription{Filter: "acme/#", Qos: 1})
	agg := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	if !agg.publish("acme/_fl_v1/q/reply/gera/line-1", "for gera", false) || !agg.publish("acme/_fl_v1/q/order", "for all", false) {
		t.Fatal("publish failed")
	}
	if topic, what := site.message(); what != "for all" {
		t.Errorf("got %q on %s", what, topic)
	}
}

func TestPipeHasAnIdentity(t *testing.T) {
	t.Parallel()
	b, stop := run(t, plant(t))
	join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	for name, o := range map[string]connectOpts{
		"another user name": {id: "aggregator", user: "op", password: "op"},
		"another client id": {id: "op"},
	} {
		if _, code := dial(t, b.Conn("aggregator"), o); code != 5 {
			t.Errorf("%s: CONNACK %d", name, code)
		}
	}
	if _, code := dial(t, b.Conn("eve"), connectOpts{id: "eve"}); code != 5 {
		t.Errorf("unknown identity: CONNACK %d", code)
	}
	join(t, b.Conn(""), connectOpts{id: "op", user: "op", password: "op"})
	stop()
	if n, err := b.Conn("aggregator").Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a broker that has stopped", n)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	c := join(t, b.Conn(""), connectOpts{id: "anybody"})
	if code := c.subscribe("#", 0); code != 0 {
		t.Errorf("SUBACK %#x", code)
	}
	if !c.publish("any/topic", "x", false) {
		t.Error("publish refused")
	}
}

func TestAccessCheckDoesNotAllocate(t *testing.T) {
	h, err := newHook(plant(t))
	if err != nil {
		t.Fatal(err)
	}
	cl := &mqtt.Client{}
	cl.Properties.Username = []byte("berlin/line-1")
	n := testing.AllocsPerRun(100, func() {
		if !h.OnACLCheck(cl, "acme/_fl_v1/q/reply/berlin/line-1", false) || h.OnACLCheck(cl, "acme/_fl_v1/q/reply/gera/line-1", false) {
			t.Error("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations at each delivery", n)
	}
}
