package virtual

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/fedmq/fedmq/topics"
)

// What a bridge of Mosquitto does unless its configuration says otherwise.
const (
	bridgeKeepAlive = time.Minute
	bridgeRestart   = 30 * time.Second // restart_timeout, at most
	bridgeQueue     = 1000             // max_queued_messages
	bridgeFlying    = 20               // max_inflight_messages
)

// bridge carries what fedmq topics --bridge mosquitto lists between the broker
// of a plant and that of the enterprise, as Mosquitto does: a client of each,
// with sessions that outlive their connections, each with a queue in front of
// it. The retain flag goes with the message; MQTT 3.1.1 hides it from standing
// subscriptions, so it follows from the topic.
type bridge struct {
	t    *testing.T
	ns   topics.Namespace
	near *crossing // towards the plant
	far  *crossing // towards the enterprise

	mu  sync.Mutex
	cut bool // the line to the enterprise
}

// crossing is one of the clients.
type crossing struct {
	client  mqtt.Client
	up      chan struct{} // a new connection; capacity 1
	filters []string      // it fetches
	queue   chan mqtt.Message
	dropped atomic.Int32 // found the queue full
}

// bridge joins the plant's broker with that of w.
func (w *world) bridge(plant *world, members ...string) *bridge {
	w.t.Helper()
	b := &bridge{t: w.t, ns: w.ns}
	var filters []topics.MemberFilter
	for _, m := range members {
		f, err := topics.ParseMemberFilter(m)
		check(w.t, err)
		filters = append(filters, f)
	}
	b.near, b.far = newCrossing(), newCrossing()
	for _, x := range w.ns.Bridge("", taskName, filters, nil) {
		from := b.far
		if x.Out {
			from = b.near
		}
		from.filters = append(from.filters, x.Filter)
	}
	farLine := w.dial("bridge")
	b.near.client = b.connects(b.near, b.far, plant.dial("bridge"))
	b.far.client = b.connects(b.far, b.near, func(ctx context.Context) (net.Conn, error) {
		if b.isCut() {
			return nil, errors.New("the line is cut")
		}
		return farLine(ctx)
	})
	plant.start("bridge", b.run)
	return b
}

func newCrossing() *crossing {
	return &crossing{up: make(chan struct{}, 1), queue: make(chan mqtt.Message, bridgeQueue)}
}

func (b *bridge) isCut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut
}

// set cuts the line, or mends it. A line that is cut tells both ends.
func (b *bridge) set(w *world, cut bool) {
	b.mu.Lock()
	b.cut = cut
	b.mu.Unlock()
	if cut && b.far.client.IsConnectionOpen() {
		w.cut("bridge")
	}
}

// connects makes a client that hands what it receives to the other crossing.
func (b *bridge) connects(from, to *crossing, dial func(context.Context) (net.Conn, error)) mqtt.Client {
	o := mqtt.NewClientOptions().AddBroker("tcp://broker").SetClientID("bridge").SetProtocolVersion(4)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return dial(context.Background()) })
	o.SetCleanSession(false).SetStore(mqtt.NewMemoryStore()).SetKeepAlive(bridgeKeepAlive)
	o.SetConnectRetry(true).SetConnectRetryInterval(bridgeRestart).SetMaxReconnectInterval(bridgeRestart)
	o.SetOnConnectHandler(func(mqtt.Client) {
		select {
		case from.up <- struct{}{}:
		default:
		}
	})
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		select {
		case to.queue <- m:
		default:
			to.dropped.Add(1)
		}
	})
	return mqtt.NewClient(o)
}

// run carries until ctx ends.
func (b *bridge) run(ctx context.Context) error {
	var goes sync.WaitGroup
	for _, c := range []*crossing{b.near, b.far} {
		c.client.Connect()
		goes.Go(func() { c.subscribe(ctx) })
		goes.Go(func() { b.carry(ctx, c) })
	}
	<-ctx.Done()
	for _, c := range []*crossing{b.near, b.far} {
		c.client.Disconnect(250)
	}
	goes.Wait()
	return nil
}

// subscribe asks again at every connection, as Mosquitto does.
func (c *crossing) subscribe(ctx context.Context) {
	for {
		select {
		case <-c.up:
		case <-ctx.Done():
			return
		}
		for some := range slices.Chunk(c.filters, 8) {
			of := map[string]byte{}
			for _, f := range some {
				of[f] = 1
			}
			done(ctx, c.client.SubscribeMultiple(of, nil))
		}
	}
}

// carry sends on what is queued for one side, some at a time.
func (b *bridge) carry(ctx context.Context, c *crossing) {
	var flying []mqtt.Token
	for {
		select {
		case m := <-c.queue:
			flying = append(flying, c.client.Publish(m.Topic(), m.Qos(), b.retained(m.Topic()), m.Payload()))
		case <-ctx.Done():
			return
		}
		if len(flying) == bridgeFlying {
			done(ctx, flying[0])
			flying = flying[1:]
		}
	}
}

func done(ctx context.Context, token mqtt.Token) {
	select {
	case <-token.Done():
	case <-ctx.Done():
	}
}

// retained tells whether who writes a topic has it retained (T-6).
func (b *bridge) retained(topic string) bool {
	at, err := b.ns.Parse(topic)
	check(b.t, err)
	switch at.Kind {
	case topics.State, topics.Status, topics.Round, topics.KPI, topics.Record, topics.Order, topics.Model, topics.ModelPart:
		return true
	}
	return false
}
