package doctor

import (
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A historian is told from a broker that never says that nobody listens, and from one
// whose access list keeps the doctor where it is.
func TestHistorian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		tells     bool   // the broker says that nobody listens
		historian string // what it is subscribed to
		list      bool   // nothing may be published outside of the namespace
		want      string
		noted     bool
	}{
		{name: "nobody", tells: true, want: "no"},
		{name: "a historian", tells: true, historian: "acme/#", want: "yes", noted: true},
		{name: "a screen", tells: true, historian: "acme/+/+/_fl_v1/+/status", want: "no"},
		{name: "a subscriber of all", tells: true, historian: "#", want: "not told"},
		{name: "a broker that does not tell", historian: "acme/#", want: "not told"},
		{name: "a historian behind a list", tells: true, historian: "acme/#", list: true, want: "not told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			examine(t, func(b *broker, cfg *Config, _ *mochi.Capabilities) {
				cfg.Gentle = true
				if c.list {
					b.deny = func(_, topic string, write bool) bool { return write && !strings.HasPrefix(topic, "acme/") }
				}
				b.onPub = func(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
					if c.historian != "" && len(b.srv.Topics.Subscribers(c.historian).InlineSubscriptions) == 0 {
						b.srv.Topics.Subscribe("historian", packets.Subscription{Filter: c.historian})
					}
					if c.tells && cl.Properties.ProtocolVersion == 5 && len(b.srv.Topics.Subscribers(pk.TopicName).Subscriptions) == 0 {
						return pk, packets.CodeNoMatchingSubscribers
					}
					return pk, nil
				}
			}, func(t *testing.T, _ *broker, r *Report, err error) {
				if err != nil || r.Historian != c.want || strings.Contains(r.Text(), "N + 1 times the model") != c.noted {
					t.Errorf("%q, %v\n%s", r.Historian, err, r.Text())
				}
			})
		})
	}
}
