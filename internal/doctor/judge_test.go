package doctor

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Every row of the report has a judgement, and a line in docs/ref/doctor.md; the
// judgement of a step that is there.
func TestJudgements(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/ref/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, rows, judged []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	for _, r := range (&Report{}).rows() {
		rows = append(rows, r[0])
	}
	for _, j := range judgements {
		judged = append(judged, j.row)
		if j.cure == "" {
			t.Errorf("%s: no word of what mends it", j.row)
		}
	}
	for _, list := range [][]string{documented, judged} {
		if !slices.Equal(rows, list) {
			t.Errorf("the report has the rows\n%q, judgements (judge.go) or docs/ref/doctor.md\n%q: give each a judgement and a line that explains it", rows, list)
		}
	}
}

// A line says good or bad, and a bad one which setting of which broker.
func TestJudge(t *testing.T) {
	t.Parallel()
	good := func() *Report {
		kept := filtersPerSub
		return &Report{
			RoundTripMS: 3, PacketBytes: whole.packet, PacketAtLeast: true,
			Retained: Retained{Of: 16, PartBytes: defaultPart, QoS0: 16, QoS1: 16, Flag: true, Bytes: whole.packet, AtLeast: true, Wildcard: 9, WildcardOf: 9},
			Will:     true, WillRetained: true, Order: Tally{Of: 500, Arrived: 500}, Queue: Tally{Of: 2000, Acked: 2000, Arrived: 1000},
			Session: true, Shared: true, QoS2: true, Access: Access{Denied, Denied, Silent}, RestartKept: &kept,
		}
	}
	for _, row := range good().rows() {
		if mark, _ := good().judge(row[0]); mark == markBad {
			t.Errorf("%s: %s of a good broker", row[0], mark)
		}
	}
	for row, c := range map[string]struct {
		change func(*Report)
		mark   string
		cure   string
	}{
		"somebody reads everything":    {func(r *Report) { r.Historian = readsAll }, markNote, "bulk in the configurations"},
		"names of plants":              {func(r *Report) { r.Names = []string{".", "*"} }, markNote, "does not start"},
		"round trip":                   {func(r *Report) { r.RoundTripMS = 2000 }, markBad, "longer deadline"},
		"messages in a row":            {func(r *Report) { r.InARowMS = 44 }, markNote, "set_tcp_nodelay true"},
		"packet limit":                 {func(r *Report) { r.PacketBytes = 8064 }, markBad, "Mosquitto max_packet_size"},
		"retained, exact topic, QoS 0": {func(r *Report) { r.Retained.QoS0 = 3 }, markNote, "retain_available"},
		"retained, exact topic, QoS 1": {func(r *Report) { r.Retained.QoS0, r.Retained.QoS1 = 3, 4 }, markBad, "EMQX mqtt.retain_available"},
		"retained, largest packet":     {func(r *Report) { r.Retained.Bytes = 8064 }, markBad, "retainer.max_payload_size"},
		"retained, through a wildcard": {func(r *Report) { r.Retained.Wildcard = 1 }, markNote, "max_queued_messages"},
		"retain flag":                  {func(r *Report) { r.LiveFlag = true }, markNote, "does not go by it"},
		"retained, after a restart":    {func(r *Report) { *r.RestartKept = 3 }, markBad, "persistence true"},
		"Last Will":                    {func(r *Report) { r.WillRetained = false }, markBad, "_fl_v1/state"},
		"order, subscriber keeps up":   {func(r *Report) { r.Order.Late = 1 }, markBad, "max_inflight_messages"},
		"queue, subscriber is busy":    {func(r *Report) { r.Queue.Arrived = 100 }, markBad, "max-queue-size"},
		"writes beside the own node":   {func(r *Report) { r.Access.Write = Open }, markBad, "fedmq acl --for"},
		"wildcard over other nodes":    {func(r *Report) { r.Access.Wildcard = Open }, markNote, "gets every update"},
		"Will beside the own node":     {func(r *Report) { r.Access.Will = Open }, markBad, "fedmq acl --for"},
		"session resumed":              {func(r *Report) { r.Session = false }, markNote, "needs none"},
		"QoS 2":                        {func(r *Report) { r.Skipped = []string{"QoS 2"} }, markNote, "not measured"},
	} {
		r := good()
		c.change(r)
		if mark, cure := r.judge(row); mark != c.mark || !strings.Contains(cure, c.cure) {
			t.Errorf("%s: %q, %q, want %q, %q", row, mark, cure, c.mark, c.cure)
		}
	}
}

// An examination publishes what it has said that it will, and a gentle one about a
// tenth of it.
func TestPlan(t *testing.T) {
	t.Parallel()
	for _, soft := range []bool{false, true} {
		var messages, bytes atomic.Int64
		examine(t, func(b *broker, c *Config, _ *mochi.Capabilities) {
			if c.extent, c.Gentle = whole, soft; soft {
				c.extent = extent{}
			}
			b.onPub = func(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
				messages.Add(1)
				bytes.Add(int64(len(pk.Payload)))
				return pk, nil
			}
		}, func(t *testing.T, b *broker, r *Report, err error) {
			if err != nil {
				t.Fatal(err)
			}
			gone(t, b)
			want := whole.load()
			if soft {
				want = gentle.load()
				if !r.PacketAtLeast || r.Advice.PartSize != defaultPart || !r.Advice.Usable {
					t.Errorf("gentle: %+v", r)
				}
			}
			if m := int(messages.Load()); m > want.messages || float64(m) < 0.97*float64(want.messages) {
				t.Errorf("gentle %t: %d messages, planned %d", soft, m, want.messages)
			}
			if n := int(bytes.Load()); n > want.bytes || float64(n) < 0.95*float64(want.bytes) {
				t.Errorf("gentle %t: %d bytes, planned %d", soft, n, want.bytes)
			}
		})
	}
	if w, g := whole.load(), gentle.load(); g.bytes*6 > w.bytes || g.messages*5 > w.messages {
		t.Errorf("gentle: %+v of %+v", g, w)
	}
	if got := Plan("acme", "", false); !strings.Contains(got, "below acme/fedmq-doctor/<random>/_fl_v1. Whoever subscribes to acme/# gets them all") || !strings.Contains(got, "--gentle") {
		t.Error(got)
	}
}
