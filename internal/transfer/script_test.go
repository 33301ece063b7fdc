package transfer

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// TestScripts runs testdata/*.txt. The first command makes a machine, each
// line below "step" is one call, and what is owed after it is printed below it.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "step" {
				s = newScript(t, d)
				return ""
			}
			return s.run(t, d.Input)
		})
	})
	if files, _ := filepath.Glob("testdata/*.txt"); len(files) < 15 {
		t.Errorf("%d scripts in testdata", len(files))
	}
}

// script is one machine of any kind, with its clock.
type script struct {
	now      ms
	puller   *Puller
	sender   *Sender
	receiver *Receiver
	mender   *Mender
	blob     wire.Blob // of sender and mender
}

// newScript makes a machine: "receiver uploads=2", "sender parts=5".
func newScript(t *testing.T, d *datadriven.TestData) *script {
	t.Helper()
	s := &script{now: 1_000_000}
	arg := func(key string, def int) int {
		for _, a := range d.CmdArgs {
			if a.Key == key {
				return atoi(t, a.Vals[0])
			}
		}
		return def
	}
	s.blob = testBlob("a", arg("parts", 5))
	switch d.Cmd {
	case "puller":
		s.puller = NewPuller()
	case "sender":
		s.sender = NewSender(s.blob)
	case "receiver":
		s.receiver = NewReceiver(ReceiverConfig{Uploads: arg("uploads", 0), Offers: arg("offers", 0)})
	case "mender":
		s.mender = NewMender()
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	return s
}

// call is one line: a verb, words, and key=value pairs.
type call struct {
	t     *testing.T
	verb  string
	words []string
	kv    map[string]string
}

func parse(t *testing.T, line string) call {
	c := call{t: t, kv: map[string]string{}}
	for i, w := range strings.Fields(line) {
		k, v, pair := strings.Cut(w, "=")
		switch {
		case i == 0:
			c.verb = w
		case pair:
			c.kv[k] = v
		default:
			c.words = append(c.words, w)
		}
	}
	return c
}

func (c call) word(i int) string {
	if i < len(c.words) {
		return c.words[i]
	}
	c.t.Fatalf("%s: a word is missing", c.verb)
	return ""
}

func (c call) text(key, def string) string {
	if v, ok := c.kv[key]; ok {
		return v
	}
	return def
}

func (c call) num(key string, def int) int { return atoi(c.t, c.text(key, strconv.Itoa(def))) }

// ranges reads words from i on: "3" or "4-7".
func (c call) ranges(i int) (list []wire.Range) {
	for _, w := range c.words[i:] {
		from, to, ok := strings.Cut(w, "-")
		if !ok {
			to = from
		}
		a, b := atoi(c.t, from), atoi(c.t, to)
		list = append(list, wire.Range{First: uint32(a), N: uint32(b - a + 1)})
	}
	return list
}

func (s *script) run(t *testing.T, input string) string {
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		fmt.Fprintf(&out, "> %s\n", line)
		c := parse(t, line)
		if after := c.text("after", ""); after != "" || c.verb == "tick" {
			if after == "" {
				after = c.word(0)
			}
			d, err := time.ParseDuration(after)
			if err != nil {
				t.Fatal(err)
			}
			s.now += d.Milliseconds()
		}
		switch {
		case s.puller != nil:
			s.pull(&out, c)
		case s.sender != nil:
			s.send(&out, c)
		case s.receiver != nil:
			s.receive(&out, c)
		default:
			s.mend(&out, c)
		}
	}
	return out.String()
}

func (s *script) pull(out *strings.Builder, c call) {
	p := s.puller
	switch c.verb {
	case "connect":
		p.Connected(s.now)
	case "disconnect":
		p.Disconnected(s.now)
	case "want":
		held := wire.Blob{}
		if name := c.text("held", ""); name != "" {
			held = c.blob(name)
		}
		p.Want(s.now, c.blob(c.word(0)), uint32(c.num("slot", 0)), held)
	case "drop":
		p.Drop(s.now)
	case "tick":
		p.Tick(s.now)
	case "room":
		p.Room(s.now, c.num("n", -1))
	case "part":
		for _, r := range c.ranges(1) {
			for i := r.First; i < r.End(); i++ {
				part := partOf(c.blob(c.word(0)), c.bytes(c.word(0)), i)
				if c.kv["flip"] != "" {
					part.Data[0] ^= 1
				}
				if c.kv["junk"] != "" {
					p.Spoilt(s.now, uint32(c.num("slot", 0)), i)
					continue
				}
				if off, ok := p.Part(s.now, part, uint32(c.num("slot", 0)), i); !ok {
					fmt.Fprintf(out, "  part %d is not wanted\n", i)
				} else if off != int(i)*testData {
					c.t.Errorf("part %d at %d", i, off)
				}
			}
		}
	default:
		c.t.Fatalf("unknown call %s", c.verb)
	}
	rd := p.Ready()
	if rd.Copy != nil {
		fmt.Fprintf(out, "  copy%s\n", printSame(rd.Copy))
	}
	for _, f := range rd.Unsubscribe {
		fmt.Fprintf(out, "  unsubscribe %d/%d\n", f.Slot, f.Index)
	}
	for _, f := range rd.Subscribe {
		fmt.Fprintf(out, "  subscribe %d/%d qos %d\n", f.Slot, f.Index, f.QoS)
	}
	if rd.Need != nil {
		fmt.Fprintf(out, "  need %s\n", printRanges(rd.Need))
	}
	if rd.Done {
		fmt.Fprintln(out, "  done")
	}
	if rd.Held {
		fmt.Fprintln(out, "  held")
	}
	s.wake(out, rd.Wake)
}

func (s *script) send(out *strings.Builder, c call) {
	switch c.verb {
	case "disconnect":
		s.sender.Disconnected()
	case "grant":
		blob := testBlob(c.text("blob", "a"), s.blob.Count())
		g := wire.Grant{Seq: uint64(c.num("seq", 1)), Blob: blob.Key(), Ranges: c.ranges(0)}
		if !s.sender.Grant(s.now, uint64(c.num("epoch", 1)), g) {
			fmt.Fprintln(out, "  ignored")
		}
	case "sent", "failed":
		for _, r := range c.ranges(0) {
			for i := r.First; i < r.End(); i++ {
				s.sender.Sent(s.now, i, c.verb == "sent")
			}
		}
	case "room":
	default:
		c.t.Fatalf("unknown call %s", c.verb)
	}
	if next := s.sender.Next(c.num("n", inFlight)); next != nil {
		fmt.Fprintf(out, "  publish %s\n", strings.Trim(fmt.Sprint(next), "[]"))
	}
	if s.sender.Held() {
		fmt.Fprintln(out, "  held")
	}
	sent, count := s.sender.Progress()
	fmt.Fprintf(out, "  sent %d of %d\n", sent, count)
}

func (s *script) mend(out *strings.Builder, c call) {
	switch c.verb {
	case "connect":
		s.mender.Connected(s.now)
	case "disconnect":
		s.mender.Disconnected(s.now)
	case "hold":
		s.blob = testBlob(c.word(0), c.num("parts", 5))
		s.mender.Hold(s.blob)
	case "all":
		s.mender.All(s.now)
	case "need":
		blob := testBlob(c.text("blob", "a"), s.blob.Count())
		s.mender.Need(s.now, c.text("by", "m"), wire.Need{Blob: blob.Key(), Ranges: c.ranges(0)})
	case "tick":
		s.mender.Tick(s.now)
	case "sent", "failed":
		for _, r := range c.ranges(0) {
			for i := r.First; i < r.End(); i++ {
				s.mender.Sent(s.now, i, c.verb == "sent")
			}
		}
	default:
		c.t.Fatalf("unknown call %s", c.verb)
	}
	rd := s.mender.Ready()
	if rd.Publish != nil {
		fmt.Fprintf(out, "  publish %s\n", strings.Trim(fmt.Sprint(rd.Publish), "[]"))
	}
	if rd.Done {
		fmt.Fprintln(out, "  done")
	}
	s.wake(out, rd.Wake)
}

func (s *script) receive(out *strings.Builder, c call) {
	r := s.receiver
	key := func() Key { return Key{Task: "t", Member: c.word(0)} }
	switch c.verb {
	case "connect":
		r.Connected(s.now)
	case "disconnect":
		r.Disconnected(s.now)
	case "offer":
		u := testUpload(key(), c.text("blob", "a"), c.num("parts", 5), uint64(c.num("r", 1)))
		u.Blob, u.Whole, u.Keep = c.blob(c.text("blob", "a")), c.num("whole", 0) > 0, c.num("keep", 0) > 0
		r.Offer(s.now, u)
	case "withdraw":
		r.Withdraw(s.now, key())
	case "done":
		r.Done(s.now, key())
	case "tick":
		r.Tick(s.now)
	case "load":
		fmt.Fprintf(out, "  %d parts outstanding, budget %d\n", r.parts, r.budget)
		return
	case "part":
		for _, rg := range c.ranges(1) {
			for i := rg.First; i < rg.End(); i++ {
				part := partOf(c.blob(c.text("blob", "a")), c.bytes(c.text("blob", "a")), i)
				if c.kv["flip"] != "" {
					part.Data[0] ^= 1
				}
				off, v := r.Part(s.now, key(), part)
				if v != Wanted {
					fmt.Fprintf(out, "  part %d: %s\n", i, [...]string{"unknown", "wanted", "duplicate", "bad"}[v])
				} else if off != int(i)*testData {
					c.t.Errorf("part %d at %d", i, off)
				}
			}
		}
	default:
		c.t.Fatalf("unknown call %s", c.verb)
	}
	rd := r.Ready()
	for _, k := range rd.Release {
		fmt.Fprintf(out, "  release %s\n", k.Member)
	}
	for _, p := range rd.Admit {
		fmt.Fprintf(out, "  admit %s%s\n", p.Key.Member, printSame(p.Fill))
	}
	for _, g := range rd.Grants {
		fmt.Fprintf(out, "  grant %s seq %d: %s\n", g.Key.Member, g.Reply.Seq, printRanges(g.Reply.Ranges))
	}
	for _, w := range rd.Waits {
		fmt.Fprintf(out, "  wait %s: %d ahead\n", w.Key.Member, w.Reply.Ahead)
	}
	for _, w := range rd.Complete {
		fmt.Fprintf(out, "  complete %s\n", w.Key.Member)
		if name := c.text("blob", "a"); w.Content != model.ContentOf(c.bytes(name)) {
			c.t.Errorf("%s is the content %v, not that of %s", w.Key.Member, w.Content, name)
		}
	}
	s.wake(out, rd.Wake)
	check(c.t, r)
}

// wake prints when the next tick is wanted, from now.
func (s *script) wake(out *strings.Builder, at ms) {
	if at > 0 {
		fmt.Fprintf(out, "  wake in %v\n", time.Duration(at-s.now)*time.Millisecond)
	}
}

// bytes are those of a blob: "a", or parts of several: "a,b1,0,a2" has part 0 of a, part
// 1 of b, zeros, and part 2 of a.
func (c call) bytes(name string) []byte {
	names := strings.Split(name, ",")
	if len(names) == 1 {
		return testBytes(name, c.num("parts", 5))
	}
	var b []byte
	for i, n := range names {
		part := make([]byte, testData)
		switch {
		case n == "0":
		case len(n) > 1:
			part = testPart(n[:1], 9, uint32(atoi(c.t, n[1:]))).Data
		default:
			part = testPart(n, 9, uint32(i)).Data
		}
		b = append(b, part...)
	}
	return b
}

func (c call) blob(name string) wire.Blob {
	if !strings.Contains(name, ",") {
		return testBlob(name, c.num("parts", 5))
	}
	b, err := wire.NewBlob(c.bytes(name), wire.MinPart)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// printSame prints stretches by their parts: from>to, with xN if they are several.
func printSame(list []Same) (s string) {
	for _, f := range list {
		from := "0"
		if f.From != Zeros {
			from = strconv.Itoa(f.From / testData)
		}
		if s += fmt.Sprintf(" %s>%d", from, f.To/testData); f.N > testData {
			s += fmt.Sprintf("x%d", (f.N+testData-1)/testData)
		}
	}
	if s != "" {
		s = ":" + s
	}
	return s
}

func printRanges(list []wire.Range) string {
	words := make([]string, 0, len(list))
	for _, r := range list {
		w := strconv.Itoa(int(r.First))
		if r.N > 1 {
			w += "-" + strconv.Itoa(int(r.End()-1))
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
