package round_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

func filters(t testing.TB, list ...string) (fs []topics.MemberFilter) {
	for _, s := range list {
		f, err := topics.ParseMemberFilter(s)
		if err != nil {
			t.Fatal(err)
		}
		fs = append(fs, f)
	}
	return fs
}

// open runs a task up to its first order, with members announcing samples.
func open(t testing.TB, cfg round.Config, announced ...uint64) round.Order {
	cfg.Members, cfg.Quorum, cfg.StartWhen = filters(t, "+"), len(announced), len(announced)
	cfg.MaxSamples = math.MaxUint64 // the arithmetic has no limit of its own
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	m := round.New(cfg, nil, nil, nil)
	m.Step(1, round.Started{})
	for i, n := range announced {
		m.Step(0, round.Join{Member: fmt.Sprintf("m%04d", i), Samples: n, Counter: 1, Digest: id(fmt.Sprint(i))})
	}
	return *m.State().Order
}

// The numbers are vectors weight-cap-1 to -3 of the strategies; there w is
// made for the cohort alone, here for the allowance: 32, 8 and 4 members.
func TestCapAndGrid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		cfg       round.Config
		announced []uint64
		cap       uint64
		w         int
	}{
		{"auto", round.Config{}, []uint64{602, 585, 376, 937, 1413, 84, 420, 130, 1289, 549}, 5490, 18},
		{"a liar moves nothing", round.Config{}, []uint64{100, 120, 90, 1000000000}, 1000, 13},
		{"lower median", round.Config{}, []uint64{5, 7}, 50, 8},
		{"exactly the cohort", round.Config{Allowance: 10}, []uint64{602, 585, 376, 937, 1413, 84, 420, 130, 1289, 549}, 5490, 16},
		{"nobody has any", round.Config{}, []uint64{0, 0}, 1, 2},
		{"clamped", round.Config{}, []uint64{math.MaxUint64}, round.MaxCap, 30},
		{"clamped at the edge", round.Config{}, []uint64{round.MaxCap/10 + 1}, round.MaxCap, 30},
		{"fixed", round.Config{Cap: 7}, []uint64{5}, 7, 4},
		{"uniform", round.Config{Weights: round.WeightUniform, Cap: 7}, []uint64{5, 9}, 1, 2},
		{"sqrt", round.Config{Weights: round.WeightSqrt}, []uint64{12, 13, 1 << 40}, 40, 9},
		{"sqrt of the largest", round.Config{Weights: round.WeightSqrt, CapFactor: 1}, []uint64{math.MaxUint64}, round.MaxCap, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := open(t, c.cfg, c.announced...)
			if o.Cap != c.cap || o.GridW != c.w || o.GridB != 6 {
				t.Errorf("cap %d, grid %d/%d; want %d, 6/%d", o.Cap, o.GridB, o.GridW, c.cap, c.w)
			}
		})
	}
}

func TestPaceAndHeartbeat(t *testing.T) {
	t.Parallel()
	seven := uint64(7)
	for _, c := range []struct {
		n               int
		pace            *uint64
		wantPace, wantH uint64
	}{
		{1, nil, 0, 30_000},
		{100, nil, 0, 30_000},
		{101, nil, 202, 30_000},
		{3500, nil, 7000, 35_000},
		{3500, &seven, 7, 35_000},
	} {
		o := open(t, round.Config{PaceMS: c.pace}, make([]uint64, c.n)...)
		if o.PaceMS != c.wantPace || o.HeartbeatMS != c.wantH {
			t.Errorf("%d members: pace %d, heartbeat %d; want %d, %d", c.n, o.PaceMS, o.HeartbeatMS, c.wantPace, c.wantH)
		}
	}
}

// Known answers from sha256sum: the bytes are the spec's, not this package's.
func TestHashes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paths []string
		want  string
	}{
		// printf ''
		{nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		// printf '\x01\0\0\0a\x03\0\0\0b/c'
		{[]string{"a", "b/c"}, "ede2d12f52ba3831da927151698a9d7d80f2f94b3546b0573657db54fd40789d"},
	} {
		if got := round.CohortHash(c.paths).String(); got != c.want {
			t.Errorf("CohortHash(%q) = %s, want %s", c.paths, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := round.Config{Members: filters(t, "+")}
	if err := ok.Validate(); err != nil {
		t.Errorf("zero settings: %v", err)
	}
	hot := 25
	for name, change := range map[string]func(*round.Config){
		"members":     func(c *round.Config) { c.Members = nil },
		"quorum":      func(c *round.Config) { c.Quorum = -1 },
		"goal":        func(c *round.Config) { c.Quorum, c.Goal = 3, 2 },
		"start_when":  func(c *round.Config) { c.Quorum, c.StartWhen = 3, 2 },
		"deadline":    func(c *round.Config) { c.DeadlineMS = math.MaxUint64 },
		"sample":      func(c *round.Config) { c.Sample = 1.5 },
		"sample NaN":  func(c *round.Config) { c.Sample = math.NaN() },
		"sample rand": func(c *round.Config) { c.Sample = 0.5 },
		"weights":     func(c *round.Config) { c.Weights = "heavy" },
		"cap":         func(c *round.Config) { c.Cap = round.MaxCap + 1 },
		"allowance":   func(c *round.Config) { c.Quorum, c.Allowance = 3, 2 },
		"grid.b":      func(c *round.Config) { c.GridB = &hot },
	} {
		c := ok
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "round: setting ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A draw that never reaches the quorum ends in asking everybody.
func TestSampleGivesUp(t *testing.T) {
	t.Parallel()
	draws := 0
	cfg := round.Config{Sample: 1e-9, Rand: func([]byte) { draws++ }}
	o := open(t, cfg, 1, 1, 1)
	if draws != 64 || o.CohortSize != 3 || o.SampleThreshold != math.MaxUint64 || o.SampleSeed != (wire.Nonce{}) {
		t.Errorf("%d draws, %+v", draws, o)
	}
}

// Every field of the state comes back from JSON.
func TestStateJSON(t *testing.T) {
	t.Parallel()
	s := &round.State{
		Epoch: math.MaxUint64, Instance: inst("agg"), Round: 3, Attempt: 2, Phase: round.Open, Base: id("b"), Version: 2, Record: id("r"),
		ValidFrom: 2, Params: &round.Params{Work: wire.WorkTrain, Weights: round.WeightSqrt, GridB: -3, GridW: 9, Cap: 1 << 29, Allowance: 8, From: 2},
		Order:  &round.Order{Stamp: wire.Stamp{Epoch: 1}, Order: wire.Order{CohortHash: id("c"), SampleSeed: inst("s"), SampleThreshold: math.MaxUint64, Cap: math.MaxUint64}, Reason: "x"},
		Cohort: []uint32{1, 0}, Abandons: 4, RefusalAbandons: 2, Vain: true, PauseAsked: true, StopAsked: true, StartAsked: true, Paused: true, Pause: "p", Stopped: true, Finished: true,
		Reason: "why", Commands: []string{"1", "2"},
		Contract: &round.Agreed{Contract: contractOf("temp,flow", "ok,worn"), From: "a"},
		Stays:    []string{"head.bias", "head.weight"},
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back round.State
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, &back); d != "" {
		t.Error(d)
	}
	m := round.Member{
		Path: "a", Samples: math.MaxUint64, Schema: id("s"), Instance: inst("i"),
		Counter: math.MaxUint64, Digest: id("d"), FromRound: 1, FromAttempt: 2, Silent: 1, Left: true, Superseded: []wire.Nonce{inst("o")}, Disk: inst("d"), Host: "h", Counted: true,
	}
	var again round.Member
	if b, err = json.Marshal(m); err != nil || json.Unmarshal(b, &again) != nil || !cmp.Equal(m, again) {
		t.Errorf("%v: %s", err, cmp.Diff(m, again))
	}
	for _, bad := range []string{`{"base":"zz"}`, `{"base":"` + strings.Repeat("zz", 32) + `"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// A journal that was not dropped in time is of another round and means nothing.
func TestJournalOfAnotherRound(t *testing.T) {
	t.Parallel()
	cfg := round.Config{Members: filters(t, "+"), Quorum: 1, Base: id("m1")}
	st := &round.State{
		Round: 2, Attempt: 1, Phase: round.Open, Base: id("m1"), ValidFrom: 1, Cohort: []uint32{0},
		Params: &round.Params{Work: wire.WorkTrain, Weights: round.WeightSamples, GridB: 6, GridW: 9, Cap: 100, Allowance: 2},
		Order:  &round.Order{Stamp: wire.Stamp{Round: 2, Attempt: 1}},
	}
	old := round.Verdict{Round: 1, Attempt: 1, Member: "a", Content: id("A1"), Weight: 1, Reason: verdict.Counted}
	m := round.New(cfg, st, []round.Member{{Path: "a"}}, []round.Verdict{old})
	m.Step(1, round.Started{})
	m.Step(0, round.Update{Member: "a", Round: 2, Attempt: 2, Base: id("m1"), Content: id("A2"), Samples: 1})
	c := m.Ready().Commit
	if c == nil || c.Entries[0].Verdict != verdict.Counted || c.Entries[0].Conflict {
		t.Errorf("an update of round 2 was measured by the journal of round 1: %+v", c)
	}
}

// A caller may keep what it was given: later steps do not reach into it.
func TestReadyIsItsOwn(t *testing.T) {
	t.Parallel()
	m := round.New(round.Config{Members: filters(t, "+"), StartWhen: 2, Quorum: 1}, nil, nil, nil)
	m.Step(1, round.Started{})
	m.Step(0, round.Join{Member: "a", Counter: 1, Digest: id("a"), Instance: inst("1")})
	m.Step(0, round.Join{Member: "a", Counter: 2, Digest: id("b"), Instance: inst("2")})
	kept := m.Ready().Save
	before, _ := json.Marshal(kept)
	m.Step(0, round.Join{Member: "a", Counter: 3, Digest: id("e"), Instance: inst("3")})
	m.Step(0, round.Join{Member: "b", Counter: 1, Digest: id("c")})
	m.Step(0, round.Command{ID: "p", Op: round.OpPauseNow})
	if after, _ := json.Marshal(kept); string(after) != string(before) {
		t.Errorf("what was given away changed from %s to %s", before, after)
	}
}

func ExampleMachine() {
	f, _ := topics.ParseMemberFilter("+/line-1")
	m := round.New(round.Config{Members: []topics.MemberFilter{f}, StartWhen: 1}, nil, nil, nil)
	m.Step(1000, round.Started{})
	m.Step(1000, round.Connected{})
	m.Step(1000, round.Join{Member: "berlin/line-1", Samples: 500, Counter: 1})
	rd := m.Ready()
	fmt.Println("save first:", rd.Save.State.Phase, "of", hex.EncodeToString(rd.Save.State.Base[:2]))
	for _, msg := range rd.Send {
		if o, ok := msg.(round.SendOrder); ok {
			fmt.Printf("then send: order %d.%d, %s, %d member\n", o.Order.Round, o.Order.Attempt, o.Order.Work, o.Order.CohortSize)
		}
	}
	// Output:
	// save first: open of 0000
	// then send: order 1.0, none, 0 member
	// then send: order 1.1, train, 1 member
}
