//go:build fedmqtest

package crashtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// watch sees what the parties of a federation say on MQTT. It connects again
// by itself; what is said while it is away it misses.
type watch struct {
	client mqtt.Client
	opener wire.Opener

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	epoch    uint64        // highest of an order
	round    uint64        // of the last order
	work     string
	orderAt  time.Time            // when an order of the highest epoch came first
	welcomed map[string]time.Time // last welcome of each member
	answered map[string]time.Time // last answer of any kind
	heads    map[string]bool      // round-attempt-verdict of the record's heads
	receipts map[receipt]bool
}

// receipt is what a member was promised.
type receipt struct {
	member  string
	round   uint64
	content model.Hash
}

func newWatch(t testing.TB, url string) *watch {
	t.Helper()
	ns, err := topics.New(namespace)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{
		opener: wire.Opener{NS: ns}, changed: make(chan struct{}), welcomed: map[string]time.Time{}, answered: map[string]time.Time{},
		heads: map[string]bool{}, receipts: map[receipt]bool{},
	}
	base := namespace + "/_fl_v1/" + task
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID("watch").SetProtocolVersion(4).SetCleanSession(true).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetAutoReconnect(true).
		SetMaxReconnectInterval(50 * time.Millisecond).SetOrderMatters(false).SetDefaultPublishHandler(w.on)
	o.SetOnConnectHandler(func(c mqtt.Client) {
		c.SubscribeMultiple(map[string]byte{base + "/order": 1, base + "/record": 1, base + "/reply/+": 1}, nil)
	})
	w.client = mqtt.NewClient(o)
	w.client.Connect()
	return w
}

func (w *watch) stop() { w.client.Disconnect(0) }

func (w *watch) on(_ mqtt.Client, m mqtt.Message) {
	if len(m.Payload()) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch topic := m.Topic(); {
	case strings.HasSuffix(topic, "/record"):
		var head struct {
			Round, Attempt uint64
			Verdict        string
		}
		if json.Unmarshal(m.Payload(), &head) == nil {
			w.heads[fmt.Sprintf("%d %s", head.Round, head.Verdict)] = true
		}
	case strings.HasSuffix(topic, "/order"):
		h, body, err := w.opener.Open(topic, m.Payload(), wire.Bound{})
		if err != nil {
			return
		}
		o, err := wire.DecodeOrder(body)
		if err != nil {
			return
		}
		if h.Epoch > w.epoch {
			w.epoch, w.orderAt = h.Epoch, time.Now()
		}
		w.round, w.work = h.Round, o.Work
	default:
		w.reply(topic, m.Payload())
	}
	w.wake()
}

// wake has everybody who waits look again; the lock is held.
func (w *watch) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *watch) reply(topic string, payload []byte) {
	_, body, err := w.opener.Open(topic, payload, wire.Bound{})
	if err != nil {
		return
	}
	r, err := wire.DecodeReply(body)
	if err != nil {
		return
	}
	member := topic[strings.LastIndex(topic, "/")+1:]
	w.answered[member] = time.Now()
	switch r := r.(type) {
	case wire.Welcome:
		w.welcomed[member] = time.Now()
	case wire.Receipt:
		if !r.Content.IsZero() {
			w.receipts[receipt{member, r.Round, r.Content}] = true
		}
	}
}

// until waits until want, which is called under the lock, holds.
func (w *watch) until(patience time.Duration, want func() bool) bool {
	late := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := want(), w.changed
		w.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}

// String shows what was seen last.
func (w *watch) String() string {
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("epoch %d, round %d, work %s, welcomed %v, heads %v, %d receipts\n",
		w.epoch, w.round, w.work, slices.Sorted(maps.Keys(w.welcomed)), slices.Sorted(maps.Keys(w.heads)), len(w.receipts))
}

// finished waits for the order that ends the task, as long as rounds go on.
func (c *cluster) finished() {
	c.t.Helper()
	for {
		c.watch.mu.Lock()
		over, round := c.over(), c.watch.round
		c.watch.mu.Unlock()
		if over {
			return
		}
		if !c.watch.until(patience, func() bool { return c.over() || c.watch.round > round }) {
			c.fail("the task does not end")
		}
	}
}

// over reports whether the order that ends the task stands.
func (c *cluster) over() bool {
	return c.watch.round == uint64(c.shape.Rounds)+2 && c.watch.work == "none"
}

// recovered waits until a party that was killed and runs again is back: an
// aggregator when its order stands, a site when it is welcomed, a broker when
// every site gets answers again. It returns how long that took since the kill.
func (c *cluster) recovered(name string, killed time.Time, epoch uint64) time.Duration {
	c.t.Helper()
	silent := func(m string) bool { return !c.watch.answered[m].After(killed) }
	ok := c.watch.until(patience, func() bool {
		switch name {
		case aggregator:
			return c.watch.epoch > epoch
		case broker:
			return !slices.ContainsFunc(c.shape.members(), silent)
		}
		return c.watch.welcomed[name].After(killed)
	})
	if !ok {
		c.fail(name + " does not come back")
	}
	return time.Since(killed)
}

func (w *watch) now() (epoch, round uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epoch, w.round
}
