package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// A broker that takes everything.
func TestGenerousBroker(t *testing.T) {
	t.Parallel()
	examine(t, func(_ *broker, c *Config, _ *mochi.Capabilities) { c.extent = whole }, func(t *testing.T, b *broker, r *Report, err error) {
		if err != nil {
			t.Fatal(err)
		}
		gone(t, b)
		if r.PacketBytes != whole.packet || !r.PacketAtLeast || r.PacketSlow {
			t.Errorf("packet limit %d, at least %t", r.PacketBytes, r.PacketAtLeast)
		}
		want := Retained{
			Of: whole.parts, PartBytes: defaultPart, QoS0: whole.parts, QoS1: whole.parts, Flag: true,
			Bytes: whole.packet, AtLeast: true, Wildcard: whole.wildcard, WildcardOf: whole.wildcard,
		}
		if r.Retained != want {
			t.Errorf("retained %+v, want %+v", r.Retained, want)
		}
		if (r.Order != Tally{Of: whole.order, Arrived: whole.order}) {
			t.Errorf("order %+v", r.Order)
		}
		if !r.Will || !r.WillRetained || !r.Session || !r.Shared || !r.QoS2 || r.LiveFlag {
			t.Errorf("will %t %t, session %t, shared %t, QoS 2 %t, live flag %t", r.Will, r.WillRetained, r.Session, r.Shared, r.QoS2, r.LiveFlag)
		}
		if (r.Access != Access{Open, Open, Open}) {
			t.Errorf("access %+v", r.Access)
		}
		if a := r.Advice; !a.Usable || a.PartSize != defaultPart || len(a.Problems) > 0 {
			t.Errorf("advice %+v", a)
		}
		if r.Skipped != nil || r.RestartKept != nil {
			t.Errorf("skipped %q, restart %v", r.Skipped, r.RestartKept)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	})
}

// The packet limit is found to within a 64th, and the advice fits into it with
// the longest topic.
func TestPacketLimit(t *testing.T) {
	t.Parallel()
	for _, maximum := range []int{8092, 100_000, 1 << 20, 1<<20 + 64<<10} {
		t.Run(strconv.Itoa(maximum), func(t *testing.T) {
			t.Parallel()
			examine(t, func(_ *broker, _ *Config, caps *mochi.Capabilities) { caps.MaximumPacketSize = uint32(maximum) },
				func(t *testing.T, b *broker, r *Report, err error) {
					if err != nil {
						t.Fatalf("%d: %v", maximum, err)
					}
					gone(t, b)
					if r.PacketBytes > maximum+5 || maximum-r.PacketBytes > max(128, maximum/64) || r.PacketAtLeast {
						t.Errorf("measured %d, the limit is %d", r.PacketBytes, maximum)
					}
					if got := r.Advice.PartSize + overhead + longestTopic("acme"); got > maximum || !r.Advice.Usable {
						t.Errorf("advice %+v: a packet would have %d bytes, the limit is %d", r.Advice, got, maximum)
					}
				})
		})
	}
}

// A limit below the least part size makes the broker unusable, and says so.
func TestPacketLimitTooSmall(t *testing.T) {
	t.Parallel()
	for maximum, want := range map[int]string{3000: "no packet of 4 KiB", 4300: "part_size would be 3584"} {
		t.Run(strconv.Itoa(maximum), func(t *testing.T) {
			t.Parallel()
			examine(t, func(_ *broker, _ *Config, caps *mochi.Capabilities) { caps.MaximumPacketSize = uint32(maximum) },
				func(t *testing.T, b *broker, r *Report, err error) {
					if err != nil {
						t.Fatalf("%d: %v", maximum, err)
					}
					gone(t, b)
					if r.Advice.Usable || !strings.Contains(strings.Join(r.Advice.Problems, " "), want) {
						t.Errorf("%d: advice %+v, want %q", maximum, r.Advice, want)
					}
				})
		})
	}
}

// Habits of brokers, each with what the report says of it.
func TestHabits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*broker, *Config, *mochi.Capabilities)
		is      func(*Report) bool
		note    string
	}{
		{
			"nothing retained", func(_ *broker, _ *Config, c *mochi.Capabilities) { c.RetainAvailable = 0 },
			func(r *Report) bool { return !r.Retained.Kept() && !r.Advice.Usable }, "not given back",
		},
		{"large ones not retained", func(b *broker, _ *Config, _ *mochi.Capabilities) {
			b.onPub = func(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
				pk.FixedHeader.Retain = pk.FixedHeader.Retain && len(pk.Payload) < 200_000
				return pk, nil
			}
		}, func(r *Report) bool {
			return r.Retained.Bytes > 190_000 && r.Retained.Bytes <= 200_200 && !r.Retained.AtLeast
		}, ""},
		{
			"a short queue", func(_ *broker, _ *Config, c *mochi.Capabilities) { c.MaximumInflight = 100 },
			func(r *Report) bool { return r.Queue.Arrived < leastQueue && r.Queue.Acked == fewer.queue }, "queued for a busy subscriber",
		},
		{
			"QoS 1 at most", func(_ *broker, _ *Config, c *mochi.Capabilities) { c.MaximumQos = 1 },
			func(r *Report) bool { return !r.QoS2 }, "",
		},
		{
			"Nagle's algorithm", func(b *broker, _ *Config, _ *mochi.Capabilities) { b.holdBack() },
			func(r *Report) bool { return r.InARowMS >= 20 }, "Nagle",
		},
		{"an access list", func(b *broker, c *Config, _ *mochi.Capabilities) {
			c.Node = "fedmq-doctor"
			b.deny = func(_, topic string, _ bool) bool { return !topics.Contains("acme/fedmq-doctor/#", topic) }
		}, func(r *Report) bool { return r.Access == Access{Denied, Denied, Silent} && r.Advice.Usable }, ""},
		{"an access list of writing", func(b *broker, c *Config, _ *mochi.Capabilities) {
			c.Node = "fedmq-doctor"
			b.deny = func(_, topic string, write bool) bool {
				return write && !topics.Contains("acme/fedmq-doctor/#", topic)
			}
		}, func(r *Report) bool {
			return r.Access == Access{Cut, Cut, Open}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			examine(t, c.prepare, func(t *testing.T, b *broker, r *Report, err error) {
				if err != nil {
					t.Fatal(err)
				}
				gone(t, b)
				said := strings.Join(append(r.Advice.Problems, r.Advice.Notes...), "\n")
				if !c.is(r) || !strings.Contains(said, c.note) {
					t.Errorf("retained %+v, queue %+v, order %+v, access %+v, said %q", r.Retained, r.Queue, r.Order, r.Access, said)
				}
			})
		})
	}
}

// What makes an examination impossible is named.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*broker, *Config, *mochi.Capabilities)
		is      error
		says    string
	}{
		{
			"password", func(_ *broker, c *Config, _ *mochi.Capabilities) { c.Link.Username, c.Link.Password = "d", "wrong" },
			link.ErrRefused, "not Authorized",
		},
		{"reading", func(b *broker, _ *Config, _ *mochi.Capabilities) {
			b.deny = func(_, _ string, write bool) bool { return !write }
		}, ErrDenied, "allow this user to read and write acme/fedmq-doctor/"},
		{"writing", func(b *broker, _ *Config, _ *mochi.Capabilities) {
			b.deny = func(_, _ string, write bool) bool { return write }
		}, ErrDenied, "cut the link at PUBLISH"},
		{"full", func(b *broker, _ *Config, _ *mochi.Capabilities) { b.full = true }, link.ErrCut, "CONNECT"},
		{"one connection", func(b *broker, _ *Config, _ *mochi.Capabilities) { b.single = true }, nil, "needs two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			examine(t, c.prepare, func(t *testing.T, b *broker, _ *Report, err error) {
				gone(t, b)
				if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("error %v, want %q", err, c.says)
				}
			})
		})
	}
}

// An interrupted examination clears what it has left, whatever step it is in.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"retained", "retained size", "retained through wildcards", "order", "sessions", "access"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			examine(t, func(b *broker, c *Config, _ *mochi.Capabilities) {
				step := ""
				c.Step = func(name string) { step = name }
				b.onPub = func(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
					if step == at {
						b.interrupt()
					}
					return pk, nil
				}
			}, func(t *testing.T, b *broker, r *Report, err error) {
				gone(t, b)
				if !errors.Is(err, context.Canceled) || r == nil {
					t.Errorf("report %v, error %v", r, err)
				}
			})
		})
	}
}

// After a restart the broker has kept what it has kept.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"keeps": false, "forgets": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			examine(t, func(b *broker, c *Config, _ *mochi.Capabilities) {
				c.Restart = func() {
					asked++
					for topic := range b.srv.Topics.Retained.GetAll() {
						if forget {
							b.srv.Topics.Retained.Delete(topic)
						}
					}
					for _, cl := range b.srv.Clients.GetAll() {
						cl.Stop(errors.New("the broker restarts"))
					}
				}
			}, func(t *testing.T, b *broker, r *Report, err error) {
				if err != nil || asked != 1 {
					t.Fatalf("asked %d times, %v", asked, err)
				}
				gone(t, b)
				if want := map[bool]int{false: filtersPerSub, true: 0}[forget]; r.RestartKept == nil || *r.RestartKept != want {
					t.Errorf("kept %v, want %d", r.RestartKept, want)
				}
			})
		})
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, hi := range []int{0, 4096, 5000, 8191, 8192, 99_999, 1 << 20} {
		tried := []int{}
		best, slow, err := limit(1<<20, func(n int) (bool, time.Duration, error) {
			tried = append(tried, n)
			return n <= hi, 0, nil
		})
		want := hi
		if hi < 4096 {
			want = 0
		}
		if err != nil || slow || best > want || want-best > max(128, want/64) || slices.Max(tried) > 2*max(hi, 2048) {
			t.Errorf("limit %d: found %d, slow %t, %v; tried %d", hi, best, slow, err, tried)
		}
	}
	best, slow, err := limit(1<<20, func(n int) (bool, time.Duration, error) {
		return true, time.Duration(n) * time.Millisecond, nil
	})
	if best != 8192 || !slow || err != nil {
		t.Errorf("on a slow link: %d, %t, %v", best, slow, err)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	m := numbered("t", 5, 8)
	got := []link.Message{m[0], m[2], m[1], m[1], m[4], {Payload: []byte("x")}}
	if g, want := tally(got, 5), (Tally{Of: 5, Arrived: 4, Late: 1, Twice: 1}); g != want {
		t.Errorf("tally %+v, want %+v", g, want)
	}
}

// The table shows every measurement, and the advice.
func TestText(t *testing.T) {
	t.Parallel()
	kept := 3
	r := &Report{
		Broker: "tcp://b", Node: "acme/d", Seconds: 4, RoundTripMS: 1.25, PacketBytes: 8064, Will: true,
		Retained: Retained{Of: 16, PartBytes: 7424, QoS0: 2, QoS1: 16, Bytes: 8064, AtLeast: true, Wildcard: 0, WildcardOf: 1500},
		Order:    Tally{Of: 500, Arrived: 499, Late: 3, Twice: 1}, Queue: Tally{Of: 2000, Acked: 2000, Arrived: 100},
		Access: Access{Open, Silent, Cut}, RestartKept: &kept, Skipped: []string{"access"},
	}
	r.advise(longestTopic("acme"))
	text := r.Text()
	for _, want := range []string{
		"packet limit                  8064 bytes\n", "QoS 0  2 of 16 parts of 7424 bytes", "through a wildcard  0 of 1500", "retain flag                   lost",
		"after a restart     3 of 8", "sent, not retained", "499 of 500, 3 late, 1 twice", "100 of 2000, 2000 acknowledged", "advice: part_size: 7424",
		"- set part_size: 7424", "sites ask again at QoS 1", "raise the limit to 320", "do not survive a restart", "may write on topics of others", "no time was left for",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in the text: %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
