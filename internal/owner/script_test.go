package owner_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// TestScripts runs testdata/*.txt. Each line below "step" is one event; all that it
// leads to is printed below it, Ready by Ready, in the order owed. What a Ready asks
// for is not answered by itself, so that a script can say what comes between.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "node":
				s.node(t, d)
				return ""
			case "restart":
				s.load(t)
				return ""
			case "step":
				return s.run(t, d.Input)
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
	if files, _ := filepath.Glob("testdata/*.txt"); len(files) < 8 {
		t.Errorf("%d scripts in testdata", len(files))
	}
}

// script is a node of one task, "t", with its disk and its clock.
type script struct {
	cfg     owner.TaskConfig
	uploads int
	life    byte
	m       *owner.Machine
	t       *owner.Task
	now     int64
}

// node makes a new task on an empty disk.
func (s *script) node(t *testing.T, d *datadriven.TestData) {
	*s = script{now: 1_000_000, uploads: 64}
	arg := func(name string, def int) int {
		var v string
		if !d.HasArg(name) {
			return def
		}
		d.ScanArgs(t, name, &v)
		return int(num(t, v))
	}
	f, err := topics.ParseMemberFilter("+")
	if err != nil {
		t.Fatal(err)
	}
	s.uploads = arg("uploads", 64)
	s.cfg = owner.TaskConfig{
		Name: "t", Slots: 2, Kept: d.HasArg("kept"), Model: version("m0", arg("parts", 0)),
		Round: round.Config{
			Members: []topics.MemberFilter{f}, Base: id("m0"), DeadlineMS: 60_000,
			Rounds: 2, Quorum: arg("quorum", 1), StartWhen: arg("start_when", 0),
		},
	}
	s.load(t)
}

func (s *script) load(t *testing.T) {
	t.Helper()
	if err := s.cfg.Round.Validate(); err != nil {
		t.Fatal(err)
	}
	s.life++
	s.m = owner.New(owner.Config{
		Instance: wire.Nonce{s.life}, Uploads: s.uploads, Rand: func(p []byte) { clear(p) }, Heeds: true, Tasks: []owner.TaskConfig{s.cfg},
	})
	s.t = s.m.Task("t")
}

func (s *script) run(t *testing.T, input string) string {
	t.Helper()
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		fmt.Fprintln(&out, ">", line)
		if !strings.HasPrefix(line, "#") {
			s.step(t, line)
		}
		for rd := s.m.Ready(); ; rd = s.m.Ready() {
			s.save(rd.Save)
			show(&out, rd)
			if rd.Empty() || rd.Stop != nil {
				break
			}
		}
	}
	return out.String()
}

// save keeps what a restart needs.
func (s *script) save(v owner.Save) {
	if v.DropJournal {
		s.cfg.Journal = nil
	}
	s.cfg.Journal = append(s.cfg.Journal, v.Verdicts...)
	if v.State != nil {
		s.cfg.State = v.State
	}
	for _, p := range v.Members {
		if int(p.Index) == len(s.cfg.Members) {
			s.cfg.Members = append(s.cfg.Members, round.Member{})
		}
		s.cfg.Members[p.Index] = p.Member
	}
}

// words are the arguments of an event: the member first, then key=value.
type words struct {
	t   *testing.T
	who string
	kv  map[string]string
}

func (w words) text(key, def string) string {
	if v, ok := w.kv[key]; ok {
		return v
	}
	return def
}

func (w words) num(key string, def uint64) uint64 {
	if v, ok := w.kv[key]; ok {
		return num(w.t, v)
	}
	return def
}

func (s *script) step(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	w := words{t: t, kv: map[string]string{}}
	for _, x := range f[1:] {
		if k, v, ok := strings.Cut(x, "="); ok {
			w.kv[k] = v
		} else {
			w.who = x
		}
	}
	switch f[0] {
	case "up":
		s.m.Step(s.now, owner.LinkUp{})
	case "down":
		s.m.Step(s.now, owner.LinkDown{})
	case "echo":
		s.m.Step(s.now, owner.Echo{Own: w.who != "other"})
	case "tick":
		d, err := time.ParseDuration(w.who)
		if err != nil {
			t.Fatal(err)
		}
		s.now += d.Milliseconds()
		s.m.Step(s.now, owner.Tick{})
	default:
		s.t.Step(s.now, s.event(f[0], w))
	}
}

func (s *script) event(verb string, w words) owner.Event {
	st := s.cfg.State
	if st == nil {
		st = &round.State{}
	}
	c := id(w.text("c", w.who+"1"))
	key := owner.Key{Member: w.who, Content: c}
	why, _ := verdict.Parse(w.text("problem", ""))
	u := round.Update{
		Member: w.who, Round: w.num("r", st.Round), Attempt: uint32(w.num("a", uint64(st.Attempt))), Base: st.Base,
		Content: c, Samples: 10, Bytes: 10, Problem: why,
	}
	switch verb {
	case "join":
		return owner.Join{
			Join: round.Join{Member: w.who, Samples: 10, Instance: inst(w.text("as", w.who)), Disk: inst(w.text("as", w.who)), Counter: w.num("counter", 1), Digest: id(w.who + w.text("counter", "1"))},
			Seen: wire.Stamp{Epoch: w.num("epoch", 0), Round: w.num("round", 0)},
		}
	case "update":
		return owner.Update{Update: u, Held: true}
	case "offer":
		u.Bytes = 1
		return owner.Offer{Update: u, Blob: w.blob(c), Whole: w.text("whole", "") != ""}
	case "part":
		b := w.blob(c)
		p := data(w.names(c)[w.num("i", 0)], int(w.num("i", 0)))
		return owner.Part{Member: w.who, Bytes: 4, Part: wire.Part{Blob: b.Key(), Index: uint32(w.num("i", 0)), Count: uint32(b.Count()), Data: p}}
	case "need":
		b := version(w.text("model", "m0"), int(w.num("parts", 2))).Blob
		return owner.Need{Member: w.who, Need: wire.Need{Blob: b.Key(), Ranges: []wire.Range{{First: uint32(w.num("i", 0)), N: 1}}}}
	case "decline":
		return owner.Said{Event: round.Decline{Member: w.who, Round: u.Round, Attempt: u.Attempt, Reason: "no_data"}}
	case "pause":
		return owner.Said{Event: round.Command{ID: w.who, Op: round.OpPauseNow}}
	case "presence":
		return owner.MemberShown{Presence: round.Presence{Member: w.who, Instance: inst(w.who), Connection: 1, Online: w.text("says", "will") == "online"}}
	case "refused":
		return owner.Refused{Member: w.who, Reply: wire.RefusalReply{Reason: "bad_signature"}}
	case "asked":
		return owner.Asked{Member: w.who}
	case "order":
		return owner.OrderShown{
			Shown:    owner.Shown{Stamp: wire.Stamp{Epoch: w.num("epoch", 0), Round: w.num("round", 1), Attempt: 1}, Base: id(w.text("base", "m0"))},
			Instance: inst(w.text("instance", "")),
		}
	case "manifest":
		return owner.ManifestShown{Blob: version(w.text("model", "m0"), int(w.num("parts", 2))).Blob.Key(), Slot: uint32(w.num("slot", 0))}
	case "shown":
		own := map[string]owner.Own{"model": owner.OwnModel, "head": owner.OwnHead, "order": owner.OwnOrder}[w.who]
		return owner.Seen{Own: own, Right: w.text("other", "no") == "no"}
	case "written":
		return owner.Written{Key: key, Problem: why}
	case "checked":
		return owner.Checked{Key: key, Void: w.text("void", "") != "", Problem: why, Norm: 1}
	case "committed":
		m := version(w.who, int(w.num("parts", 0)))
		s.cfg.Model = m
		return owner.Committed{Model: m, Record: id("r" + w.who)}
	case "sent", "failed":
		return owner.Sent{OK: verb == "sent"}
	case "partsent", "partfailed":
		return owner.PartSent{Version: w.num("v", 0), Index: uint32(w.num("i", 0)), OK: verb == "partsent"}
	case "cleared":
		return owner.Cleared{OK: true}
	}
	w.t.Fatalf("unknown event %q", verb)
	return nil
}

// names says whose each part of an update is: "as=m1,m2" is part 0 of m1 and part 1 of
// m2, "as=00,m2" begins with zeros.
func (w words) names(c model.Hash) []string {
	if as := w.text("as", ""); as != "" {
		return strings.Split(as, ",")
	}
	return slices.Repeat([]string{string(c[:2])}, int(w.num("parts", 2)))
}

func (w words) blob(c model.Hash) wire.Blob {
	b := wire.Blob{Data: 4}
	for i, name := range w.names(c) {
		h := model.PartOf(data(name, i))
		b.Length, b.Hashes = b.Length+4, append(b.Hashes, h[:wire.PartHash]...)
	}
	return b
}

func num(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func id(s string) (x model.Hash)   { copy(x[:], s); return x }
func inst(s string) (x wire.Nonce) { copy(x[:], s); return x }

// data is a part of the blob of a name.
func data(name string, i int) []byte {
	if name == "00" {
		return make([]byte, 4)
	}
	return []byte(fmt.Sprintf("%s%02d", name, i)[:4])
}

func blob(name string, parts int) wire.Blob {
	b := wire.Blob{Length: uint64(4 * parts), Data: 4}
	for i := range parts {
		h := model.PartOf(data(name, i))
		b.Hashes = append(b.Hashes, h[:wire.PartHash]...)
	}
	return b
}

// version is a model, in parts or, with none, inline.
func version(name string, parts int) owner.Model {
	m := owner.Model{Content: id(name)}
	if parts > 0 {
		m.Blob = blob(name, parts)
	}
	return m
}
