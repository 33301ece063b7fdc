package broker

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/store"
)

// Every channel of the published contract is open to who sends it, and nothing
// else below a party's own node is open to anybody.
func TestEveryLeafIsAllowed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/ref/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Channels map[string]struct {
			Address string `yaml:"address"`
		} `yaml:"channels"`
		Operations map[string]struct {
			Action string `yaml:"action"`
		} `yaml:"operations"`
	}
	if err := yaml.Unmarshal(text, &contract); err != nil {
		t.Fatal(err)
	}
	h, err := newHook(plant(t))
	if err != nil {
		t.Fatal(err)
	}
	user := map[string]string{"aggregator": "aggregator", "site": "berlin/line-1", "operator": "op", "watcher": "screen", "consumer": "berlin/line-1/scoring"}
	level := strings.NewReplacer("{owner}", "acme", "{site}", "acme/berlin/line-1", "{task}", "q", "{slot}", "7", "{part}", "3999",
		"{name}", "rmse", "{member}", "berlin/line-1", "{ownerPhase}", "peers", "{sitePhase}", "keys")
	sent := 0
	for name, op := range contract.Operations {
		party, rest, _ := strings.Cut(name, "_")
		channel, ok := strings.CutPrefix(rest, "send_")
		if !ok || op.Action != "send" {
			continue
		}
		sent++
		topic := level.Replace(contract.Channels[channel].Address)
		if party == "consumer" {
			topic = strings.Replace(topic, "berlin/line-1", user[party], 1)
		}
		cl := &mqtt.Client{}
		cl.Properties.Username = []byte(user[party])
		if !h.OnACLCheck(cl, topic, true) {
			t.Errorf("%s may not publish to %s", party, topic)
		}
		for _, other := range []string{topic + "/x", topic + "x", strings.Replace(topic, "/_fl_v1/", "/_fl_v1/_x/", 1)} {
			if _, err := h.ns.Parse(other); err != nil && h.OnACLCheck(cl, other, true) {
				t.Errorf("%s may publish to %s", party, other)
			}
		}
	}
	if sent < 25 {
		t.Errorf("only %d operations send", sent)
	}
}

// What the broker cannot keep, a topic that is too long for its file, is refused
// to who sent it, whatever the packet; the others notice nothing.
func TestLongTopicsAreRefused(t *testing.T) {
	t.Parallel()
	listed := plant(t)
	for name, cfg := range map[string]Config{"users": listed, "open": {Open: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.DataDir = t.TempDir()
			b, _ := run(t, cfg)
			other := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
			other.subscribe("acme/+/line-1/_fl_v1/q/status", 1)
			site := func() *client { return join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"}) }
			const own = "acme/berlin/line-1/_fl_v1/"
			for _, n := range []int{maxTopic + 1, 32_700, store.MaxRetainedTopic + 1, 65_535} {
				topic := own + strings.Repeat("a", n-len(own))
				if site().publish(topic, "x", true) {
					t.Errorf("a topic of %d bytes is taken", n)
				}
				if code := site().subscribe(topic, 1); code != packets.ErrUnspecifiedError.Code {
					t.Errorf("a filter of %d bytes: %#x", n, code)
				}
				if n > maxConnect {
					continue // no such CONNECT is read
				}
				w := &packets.Packet{TopicName: topic, Payload: []byte("x"), FixedHeader: packets.FixedHeader{Qos: 1, Retain: true}}
				if _, code := dial(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1", will: w}); code != 5 {
					t.Errorf("a Will on a topic of %d bytes: CONNACK %d", n, code)
				}
			}
			if !site().publish(own+"q/status", "still there", true) {
				t.Error("an ordinary publish is refused")
			}
			if _, what := other.message(); what != "still there" {
				t.Errorf("got %q", what)
			}
			if got := b.Stats(); got.Refused[ReasonTopicLength] < 6 || got.DiskError != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A disk that fails costs what is kept after a restart, and nobody's connection.
func TestFailedDiskServesOn(t *testing.T) {
	t.Parallel()
	var said syncBuffer
	b, err := New(Config{Open: true, DataDir: t.TempDir(), Log: zerolog.New(&said)})
	if err != nil {
		t.Fatal(err)
	}
	stop := startFailing(t, b)
	c := join(t, b.Conn(""), connectOpts{id: "c"})
	c.subscribe("t", 1)
	if err := b.retained.Close(); err != nil { // as good as a dead disk
		t.Fatal(err)
	}
	for i := range 3 {
		if !c.publish("t", fmt.Sprint(i), true) {
			t.Fatal("a publish is refused")
		}
		if _, what := c.message(); what != fmt.Sprint(i) {
			t.Errorf("got %q", what)
		}
	}
	for b.Stats().DiskError == "" {
		time.Sleep(time.Millisecond)
	}
	join(t, b.Conn(""), connectOpts{id: "new"}).subscribe("t", 1)
	if err := stop(); !errors.Is(err, store.ErrDisk) {
		t.Errorf("Run returned %v", err)
	}
	if !strings.Contains(said.String(), "cannot be written") {
		t.Errorf("log: %s", said.String())
	}
}

// However often somebody is refused, the log has one line a second for each kind
// and address, and says how many it left out; what a client calls itself does not
// reach a terminal.
func TestOneLineASecond(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := zerolog.New(&out)
	var l lines
	now := time.Unix(1000, 0)
	say := func(kind, remote string, at time.Time) {
		l.say(log.Warn(), kind, remote, at, func(e *zerolog.Event) { e.Str("user", "\x1b[31m").Msg(kind) })
	}
	for i := range 10_000 {
		say("credentials", "10.0.0.1:"+fmt.Sprint(i), now.Add(time.Duration(i)*time.Millisecond)) // 10 s
	}
	if n := strings.Count(out.String(), "\n"); n != 10 || strings.Count(out.String(), `"suppressed":999`) != 9 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	out.Reset()
	for i := range 10_000 {
		say("topic", fmt.Sprintf("10.%d.%d.1:1", i/256, i%256), now)
		say(fmt.Sprint("kind", i), "", now)
	}
	if n := strings.Count(out.String(), "\n"); n > maxKinds+maxAddresses+2 {
		t.Errorf("%d lines in a second", n)
	}
	out.Reset()
	say("topic", "10.0.0.1:1", now.Add(time.Second))
	if !strings.Contains(out.String(), fmt.Sprintf(`"suppressed":%d`, 10_000-maxAddresses-1)) {
		t.Error(out.String())
	}
}
