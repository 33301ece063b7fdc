package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/bubble"
)

// A broker that takes names for others, or refuses them, is known by what it does; one
// that takes them, or whose access list keeps the answer, is not refused (C-22).
func TestCheckNames(t *testing.T) {
	t.Parallel()
	rabbit := func(b *broker) { b.rename = strings.NewReplacer(".", "/", "*", "+").Replace }
	nats := func(b *broker) { b.denySub = func(f string) bool { return strings.Contains(f, " ") } }
	list := func(b *broker) {
		b.denySub = func(f string) bool { return !strings.HasSuffix(f, "/order") || strings.HasPrefix(f, "+") }
	}
	both := func(b *broker) { rabbit(b); list(b) }
	for _, c := range []struct {
		name, node string
		broker     func(*broker)
		want       string
	}{
		{"plain names", "acme/a", rabbit, ""},
		{"odd names", "Werk Köln/spBv1.0*", func(*broker) {}, ""},
		{"dots at RabbitMQ", "acme.berlin/a", rabbit, "comes acme/berlin/a/_fl_v1/"},
		{"stars at RabbitMQ", "acme/a*", rabbit, "comes acme/a+/_fl_v1/"},
		{"blanks at RabbitMQ", "Werk Köln/a", rabbit, ""},
		{"blanks at NATS", "acme/Werk Köln", nats, "refuses acme/Werk Köln/_fl_v1/q/order and takes acme/+/_fl_v1/q/order"},
		{"dots at NATS", "acme.berlin/a", nats, ""},
		{"an access list", "Werk Köln/a", list, ""},
		{"an access list at RabbitMQ", "acme.berlin/a", both, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				b := newBroker(t)
				c.broker(b)
				cfg := Config{ClientID: "me:site", Dial: b.dial}
				err := CheckNames(t.Context(), cfg, c.node+"/_fl_v1/q/status", "acme/_fl_v1/q/order", c.node+"/_fl_v1/q/order")
				if (err != nil) != (c.want != "") || err != nil && (!errors.Is(err, ErrNames) || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if c.name == "plain names" && len(b.dials) > 0 {
					t.Errorf("%d connections for names that all brokers take", len(b.dials))
				}
			})
		})
	}
}

// A party that finds nobody at its start asks when it gets through, and does not stay.
func TestNamesAskedLate(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		b.rename = strings.NewReplacer(".", "/").Replace
		b.gone = true
		c, err := New(Config{ClientID: "me:site", Dial: b.dial})
		if err != nil {
			t.Fatal(err)
		}
		if proven, err := c.Prove(t.Context(), Proof{Said: "a.b/x", Seen: "a.b/y"}); !proven || err != nil {
			t.Fatalf("%t, %v", proven, err)
		}
		run(t, c)
		next(t, c, isDown)
		b.set(func() { b.gone = false })
		for {
			s := next(t, c, isDown)
			if errors.Is(s.Err, ErrNames) {
				break
			}
		}
		b.set(func() { b.rename = nil })
		next(t, c, isUp)
	})
}
