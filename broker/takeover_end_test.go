package broker

import (
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// slowEnd has the library take its time where a connection of the client begins, and where
// one is cleared up behind.
type slowEnd struct {
	mqtt.HookBase
	begins, ends, expires time.Duration
}

func (slowEnd) ID() string { return "slow end" }

func (slowEnd) Provides(b byte) bool {
	return b == mqtt.OnSessionEstablish || b == mqtt.OnQosDropped || b == mqtt.OnClientExpired
}

func (h *slowEnd) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	if cl.ID == "site" {
		time.Sleep(h.begins)
	}
}

func (h *slowEnd) OnQosDropped(cl *mqtt.Client, _ packets.Packet) {
	if cl.ID == "site" {
		time.Sleep(h.ends)
	}
}

func (h *slowEnd) OnClientExpired(*mqtt.Client) { time.Sleep(h.expires) }

// A client of MQTT 5 may end its session with DISCONNECT while its next connection begins:
// the library clears up behind the old one, and the new one is there all the same.
func TestSessionEndsAtATakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		slow := &slowEnd{}
		if err := b.server.AddHook(slow, nil); err != nil {
			t.Fatal(err)
		}
		pub := join(t, b.Conn(""), connectOpts{id: "publisher"})
		opts := connectOpts{id: "site", version: 5, stay: true}
		old := join(t, b.Conn(""), opts)
		old.subscribe("order", 1)
		pub.publish("order", "never acknowledged", false)
		synctest.Wait()

		slow.begins, slow.ends = 500*time.Millisecond, time.Second
		time.AfterFunc(100*time.Millisecond, func() {
			pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}
			pk.Properties.SessionExpiryIntervalFlag = true
			old.send(pk.DisconnectEncode)
		})
		next := join(t, b.Conn(""), opts)
		next.subscribe("order", 0)
		time.Sleep(5 * time.Second)
		pub.publish("order", "new", false)
		synctest.Wait()
		if got := next.received(); len(got) == 0 || got[len(got)-1] != "order=new" {
			t.Errorf("delivered %v", got)
		}
	})
}

// A client whose session expires while it comes back is cut off: it would get nothing, and not
// know it. The next time it is there.
func TestSessionExpiresAtAReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		if err := b.server.AddHook(&slowEnd{expires: time.Second}, nil); err != nil {
			t.Fatal(err)
		}
		opts := connectOpts{id: "site", version: 5, stay: true}
		pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}
		pk.Properties.SessionExpiryIntervalFlag, pk.Properties.SessionExpiryInterval = true, 1
		old := join(t, b.Conn(""), opts)
		old.send(pk.DisconnectEncode)
		for expired := false; !expired; time.Sleep(10 * time.Millisecond) { // up to the clock's look
			synctest.Wait()
			_, waits := b.hook.sessions.all.Load(sessionOf(t, b, "site"))
			expired = !waits
		}
		next := join(t, b.Conn(""), opts)
		next.subscribe("order", 0)
		time.Sleep(20 * time.Second)
		if next.alive() {
			t.Error("it is left where nothing reaches it")
		}
		next = join(t, b.Conn(""), opts)
		next.subscribe("order", 0)
		time.Sleep(time.Minute)
		pub := join(t, b.Conn(""), connectOpts{id: "publisher"})
		pub.publish("order", "new", false)
		synctest.Wait()
		if got := next.received(); len(got) != 1 {
			t.Errorf("delivered %v", got)
		}
	})
}

// sessionOf is the library's client of an id.
func sessionOf(t *testing.T, b *Broker, id string) *mqtt.Client {
	t.Helper()
	cl, ok := b.server.Clients.Get(id)
	if !ok {
		t.Fatalf("no session of %q", id)
	}
	return cl
}
