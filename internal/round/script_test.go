package round_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// TestScripts runs testdata/*.txt. Each line below "step" is one event, and
// the whole Ready that it causes is printed below it; "restart" throws the
// machine away and makes a new one from what Save put on the disk.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "task":
				s.task(t, d)
				return ""
			case "restart":
				s.cfg.Others = d.HasArg("others")
				s.load(t)
				return ""
			case "step":
				return s.run(t, d.Input)
			case "state":
				return s.state()
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
	if files, _ := filepath.Glob("testdata/*.txt"); len(files) < 15 {
		t.Errorf("%d scripts in testdata", len(files))
	}
}

// script is one machine with its disk and its clock.
type script struct {
	cfg  round.Config
	m    *round.Machine
	disk disk
	now  int64
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface{ Fatal(...any) }

// disk is what Save made durable, the state as JSON.
type disk struct {
	state   []byte
	members []round.Member
	journal []round.Verdict
	records []round.Record
}

func (d *disk) save(t fataler, s round.Save) {
	if s.DropJournal {
		d.journal = nil
	}
	d.journal = append(d.journal, s.Verdicts...)
	for _, p := range s.Members {
		if p.Index == uint32(len(d.members)) {
			d.members = append(d.members, round.Member{})
		}
		d.members[p.Index] = p.Member
		d.members[p.Index].Heard = false // as JSON has it
	}
	d.records = append(d.records, s.Records...)
	if s.State != nil {
		b, err := json.Marshal(s.State)
		if err != nil {
			t.Fatal(err)
		}
		d.state = b
	}
}

func (d *disk) machine(t fataler, cfg round.Config) *round.Machine {
	if d.state == nil {
		return round.New(cfg, nil, nil, d.journal)
	}
	var st round.State
	if err := json.Unmarshal(d.state, &st); err != nil {
		t.Fatal(err)
	}
	return round.New(cfg, &st, d.members, d.journal)
}

func (s *script) load(t testing.TB) { s.m = s.disk.machine(t, s.cfg) }

// task makes a new task on an empty disk. Its clock starts at 1000 s.
func (s *script) task(t testing.TB, d *datadriven.TestData) {
	*s = script{now: 1_000_000}
	s.cfg = round.Config{Base: id("m0"), DeadlineMS: 60_000}
	filter := "+"
	for _, a := range d.CmdArgs {
		v := ""
		if len(a.Vals) > 0 {
			v = a.Vals[0]
		}
		switch a.Key {
		case "members":
			filter = v
		case "rounds":
			s.cfg.Rounds = num(t, v)
		case "statistics":
			s.cfg.Statistics = true
		case "survey":
			s.cfg.Survey = true
		case "every":
			s.cfg.EveryMS, s.cfg.EveryFrom = millis(t, v), 2
		case "start_when":
			s.cfg.StartWhen = int(num(t, v))
		case "max_samples":
			s.cfg.MaxSamples = num(t, v)
		case "join_wait":
			s.cfg.JoinWaitMS = millis(t, v)
		case "quorum":
			s.cfg.Quorum = int(num(t, v))
		case "goal":
			s.cfg.Goal = int(num(t, v))
		case "late":
			s.cfg.Late = num(t, v)
		case "buffer":
			s.cfg.Buffer = int(num(t, v))
		case "deadline":
			s.cfg.DeadlineMS = uint64(millis(t, v))
		case "allowance":
			s.cfg.Allowance = num(t, v)
		case "cap":
			s.cfg.Cap = num(t, v)
		case "weights":
			s.cfg.Weights = round.Weights(v)
		case "schema":
			s.cfg.Schema = id(v)
		case "sample":
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				t.Fatal(err)
			}
			s.cfg.Sample = f
			seed := byte(0)
			s.cfg.Rand = func(p []byte) { // seeds 0101.., 0202.., ...
				seed++
				for i := range p {
					p[i] = seed
				}
			}
		default:
			t.Fatalf("%s: unknown setting %s", d.Pos, a.Key)
		}
	}
	f, err := topics.ParseMemberFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Members = []topics.MemberFilter{f}
	if err := s.cfg.Validate(); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	s.load(t)
}

func (s *script) run(t testing.TB, input string) string {
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		ev := s.event(t, line)
		s.m.Step(s.now, ev)
		rd := s.m.Ready()
		s.disk.save(t, rd.Save)
		fmt.Fprintf(&out, "> %s\n", line)
		printReady(&out, rd)
	}
	return out.String()
}

// event reads one line: a verb, for members' messages the member, then
// key=value pairs in any order.
func (s *script) event(t testing.TB, line string) round.Event {
	f := strings.Fields(line)
	verb, who, kv := f[0], "", map[string]string{}
	for _, w := range f[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			kv[k] = v
		} else {
			who = w
		}
	}
	get := func(k, def string) string {
		if v, ok := kv[k]; ok {
			return v
		}
		return def
	}
	st := s.m.State()
	r := num(t, get("r", fmt.Sprint(st.Round)))
	a := uint32(num(t, get("a", fmt.Sprint(st.Attempt))))
	switch verb {
	case "start":
		return round.Started{SeenEpoch: num(t, get("seen", "0")), Instance: inst(get("instance", "agg"))}
	case "connect":
		return round.Connected{}
	case "disconnect":
		return round.Disconnected{}
	case "tick":
		s.now += millis(t, who)
		return round.Tick{}
	case "published":
		return round.Published{Order: wire.Stamp{Epoch: num(t, get("e", fmt.Sprint(st.Epoch))), Round: r, Attempt: a}}
	case "join":
		c := get("counter", "1")
		return round.Join{
			Member: who, Samples: num(t, get("n", "10")), Schema: id(get("schema", "")),
			Instance: inst(get("instance", "i1")), Disk: inst(get("disk", "d1")), Host: get("host", ""), Counter: num(t, c), Digest: id(get("digest", who+c)),
			Contract: contractOf(get("features", ""), get("classes", "")),
		}
	case "uploading", "uploaded":
		return round.Uploading{Member: who, On: verb == "uploading"}
	case "heard":
		return round.Heard{Member: who}
	case "update", "offer":
		p, _ := verdict.Parse(get("problem", ""))
		return round.Update{
			Member: who, Round: r, Attempt: a, Base: id(get("base", text(st.Base[:]))),
			Content: id(get("c", who+"-r"+fmt.Sprint(r))), Samples: num(t, get("n", "10")), Problem: p, Norm: 1, Bytes: 100,
			Offer: verb == "offer",
		}
	case "decline":
		return round.Decline{Member: who, Round: r, Attempt: a, Reason: get("reason", "no_data"), Refused: get("reason", "") == "refused", Setting: get("reason", "") == "unknown_setting"}
	case "presence":
		return round.Presence{
			Member: who, Instance: inst(get("instance", "i1")), Connection: num(t, get("connection", "1")),
			Online: get("says", "") == "online", Ended: get("says", "") == "ended",
		}
	case "leave":
		return round.Leave{Member: who}
	case "committed":
		return round.Committed{Base: id(get("base", fmt.Sprintf("m%d", st.Round))), RecordHash: id(fmt.Sprintf("rec%d", st.Round))}
	case "command":
		c := round.Command{ID: get("id", "id"), Op: round.Op(who), AtRound: r, Pause: get("pause", st.Pause)}
		if v := get("lr", ""); v != "" {
			c.Settings = map[string]any{"lr": v}
		}
		if list := get("members", ""); list != "" {
			c.Members = strings.Split(list, ",")
		}
		return c
	case "fenced":
		return round.Fenced{Epoch: num(t, get("e", "0")), Instance: inst(get("instance", ""))}
	}
	t.Fatalf("unknown event %q", line)
	return nil
}

func (s *script) state() string {
	var out strings.Builder
	printState(&out, s.m.State(), s.m.Members())
	fmt.Fprintf(&out, "accepted %d, journal of %d, records of %d abandons\n", s.m.Accepted(), len(s.disk.journal), len(s.disk.records))
	return out.String()
}

func id(s string) (x model.Hash)   { copy(x[:], s); return x }
func inst(s string) (x wire.Nonce) { copy(x[:], s); return x }

func num(t testing.TB, s string) uint64 {
	if s == "max" {
		return math.MaxUint64
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func millis(t testing.TB, s string) int64 {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d.Milliseconds()
}

// contractOf is one of features and classes, each joined by commas; nil without features.
func contractOf(features, classes string) *pipeline.Contract {
	if features == "" {
		return nil
	}
	c := &pipeline.Contract{Target: pipeline.Target{Name: "y"}, Net: pipeline.Net{Output: pipeline.OutputIdentity}}
	for _, name := range strings.Split(features, ",") {
		c.Inputs = append(c.Inputs, pipeline.Input{Name: name})
	}
	if classes != "" {
		c.Target.Classes, c.Net.Output = strings.Split(classes, ","), pipeline.OutputSoftmax
	}
	return c
}
