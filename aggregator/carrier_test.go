package aggregator

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fedmq/fedmq/internal/link"
)

// What is posted while own messages are on their way out goes behind them, in its order.
func TestPostedBehindWhatIsCarried(t *testing.T) {
	t.Parallel()
	conn, err := link.New(link.Config{ClientID: "a", Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("no") }})
	if err != nil {
		t.Fatal(err)
	}
	c := newCarrier(conn)
	for range 2 {
		c.carry([]link.Message{{Topic: "order"}}, func(int) {}, func(error) {})
	}
	for _, topic := range []string{"receipt", "event"} {
		c.post(link.Message{Topic: topic, QoS: 1})
	}
	if c.left(); len(c.behind) != 2 || c.behind[0].Topic != "receipt" {
		t.Errorf("behind one that has not left: %+v", c.behind)
	}
	if c.left(); len(c.behind) != 0 {
		t.Errorf("still behind: %+v", c.behind)
	}
	if c.post(link.Message{Topic: "event", QoS: 1}); len(c.behind) != 0 {
		t.Errorf("behind nothing: %+v", c.behind)
	}
	c.carry([]link.Message{{Topic: "order"}}, func(int) {}, func(error) {}) // on a line that stands
	for range 10 * mostBehind {
		if c.post(link.Message{Topic: "receipt", QoS: 1}); len(c.behind) > mostBehind {
			t.Fatalf("%d wait", len(c.behind))
		}
	}
}
