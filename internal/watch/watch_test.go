package watch

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// A site's standing through a round, and the words for it.
func TestStandings(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.open(3, 0, 4)
	f.must("acme/a/x/_fl_v1/state", object{"schema": "fedmq.state.v1", "online": true, "tasks": []string{"q"}})
	f.stand("a/x", Idle, "no status yet")
	f.status("a/x", 3, "waiting", "for the model", "")
	f.stand("a/x", Busy, "fetching the model")
	f.status("a/x", 3, "training", "train", "")
	f.stand("a/x", Busy, "training")
	f.later(51) // half of the deadline has passed
	f.stand("a/x", Late, "still training")
	f.status("a/x", 3, "training", "train for round 1", "") // which counts in a later one
	f.stand("a/x", Busy, "training for round 1")
	f.status("a/x", 2, "training", "train", "")
	f.stand("a/x", Late, "still at round 2: training")
	f.status("a/x", 3, "sending", "3 ahead", "")
	f.stand("a/x", Late, "still sending, 3 ahead")
	f.event("accepted", "a/x", 3, nil)
	f.stand("a/x", Done, "accepted")
	if s := f.row("a/x"); s.Counted != 3 {
		t.Errorf("counted in round %d, want 3", s.Counted)
	}
	f.open(4, 0, 4)
	f.status("a/x", 4, "training", "train", "")
	f.stand("a/x", Busy, "training")
	f.event("refused", "a/x", 4, object{"reason": "norm_outlier", "detail": "9 > 4"})
	f.stand("a/x", Failed, "refused: norm_outlier: 9 > 4")
	f.open(5, 0, 4)
	f.status("a/x", 5, "waiting", "not in this round", "")
	f.stand("a/x", Idle, "not in this round")
	f.status("a/x", 5, "waiting", "for the record", "")
	f.stand("a/x", Done, "for the record")
	f.status("a/x", 5, "error", "", "no rows")
	f.stand("a/x", Failed, "no rows")
	f.later(200)
	f.stand("a/x", Lost, "nothing heard")
	f.status("a/x", 5, "idle", "", "")
	f.must("acme/a/x/_fl_v1/state", object{"schema": "fedmq.state.v1", "online": false})
	f.stand("a/x", Lost, "offline")
	if s := f.row("a/x"); s.SinceMS != f.at || s.Online {
		t.Errorf("offline since %d (online %t), want %d", s.SinceMS, s.Online, f.at)
	}
}

// Who has not delivered is late after twice the time that half of the cohort
// took, long before half of the deadline.
func TestLateByTheOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.open(1, 0, 4)
	f.status("a/x", 1, "training", "train", "")
	f.at += 4000
	f.must(own+"q/round", object{
		"schema": "fedmq.round.v1", "timestamp_ms": f.at, "round": 1, "attempt": 1, "phase": "open", "cohort": 4, "accepted": 2,
		"opened_ms": f.at - 4000, "deadline_ms": 100_000,
	})
	f.later(4)
	f.stand("a/x", Busy, "training")
	f.later(1)
	f.stand("a/x", Late, "still training")
}

// The round goes on with events, before its next view.
func TestAdvance(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.open(1, 0, 4)
	f.status("a/x", 2, "training", "train", "")
	f.at += 5000
	f.event("opened", "", 2, object{"count": 3, "work": "train"})
	f.event("accepted", "b/y", 2, object{"count": 1})
	f.event("accepted", "c/z", 1, object{"count": 4}) // of the round before
	f.event("opened", "", 1, object{"count": 9})
	v, _ := f.Since(0)
	if r := v.Tasks[0]; r.Round != 2 || r.Phase != "open" || r.Cohort != 3 || r.Accepted != 1 || r.OpenedMS != f.at || r.DeadlineMS != f.at+100_000 {
		t.Errorf("%+v", r)
	}
	f.stand("a/x", Busy, "training")
}

// Views after the first hold what has changed, and a site that goes makes the
// next one complete.
func TestSince(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.open(1, 0, 2)
	f.status("a/x", 1, "training", "", "")
	f.status("b/y", 1, "training", "", "")
	v, ok := f.Since(0)
	if !ok || !v.Full || len(v.Sites) != 2 || len(v.Tasks) != 1 {
		t.Fatalf("%+v, want everything", v)
	}
	if w, ok := f.Since(v.Seq); ok || len(w.Sites) != 0 {
		t.Errorf("%+v, want nothing", w)
	}
	f.status("b/y", 1, "sending", "", "")
	f.event("accepted", "a/x", 1, nil)
	w, ok := f.Since(v.Seq)
	if !ok || w.Full || len(w.Sites) != 2 || len(w.Tasks) != 1 || len(w.Tasks[0].Events) != 1 || w.Tasks[0].Standings[Done] != 1 {
		t.Errorf("%+v, want two sites and one event", w)
	}
	f.must("acme/b/y/_fl_v1/q/status", []byte{})
	if w, _ := f.Since(w.Seq); !w.Full || len(w.Sites) != 1 {
		t.Errorf("%+v, want all of one site", w)
	}
	if w, ok := f.Since(math.MaxUint64); !ok || !w.Full {
		t.Error("a number from another life gives no complete view")
	}
}

// The numbers of a round come together from kpis, the round's view and the
// sites.
func TestHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for i := range 5 {
		f.must("acme/"+path(i)+"/_fl_v1/q/status", object{
			"schema": "fedmq.status.v1", "phase": "training", "round": 2, "metrics": object{"rmse": i, "loss": 1},
		})
	}
	f.must(own+"q/round", object{
		"schema": "fedmq.round.v1", "round": 3, "phase": "idle",
		"last": object{"round": 2, "attempt": 1, "work": "train", "verdict": "committed", "counted": 5, "members": 5, "seconds": 2, "metrics": object{"rmse": 1.5}},
	})
	for name, v := range map[string]float64{"loss": .25, "bytes_up": 1000, "bytes_down": 50, "round": 2, "round_seconds": 2.5} {
		f.must(own+"q/kpi/"+name, object{"timestamp_ms": 77, "value": v})
	}
	f.must(own+"q/kpi/loss", object{"timestamp_ms": 76, "value": 9}) // of an older record
	v, _ := f.Since(0)
	r := v.Tasks[0].Rounds[0]
	if r.Round != 2 || r.Seconds != 2.5 || r.BytesUp != 1000 || r.BytesDown != 50 || r.Metrics["rmse"] != 1.5 || r.Metrics["loss"] != .25 {
		t.Errorf("%+v", r)
	}
	if got, want := r.Spread["rmse"], [5]float64{0, 1, 2, 3, 4}; got != want {
		t.Errorf("spread %v, want %v", got, want)
	}
	h, ok := f.Site("q", path(3))
	if !ok || len(h["rmse"].Values) != 1 || h["rmse"].Values[0] != 3 || h["rmse"].Rounds[0] != 2 {
		t.Errorf("history %+v", h)
	}
}

// head is a head as the aggregator publishes it.
func head(t *testing.T, round uint64, prev model.Hash, key ed25519.PrivateKey) ([]byte, model.Hash) {
	t.Helper()
	r := record.Record{
		Owner: "acme", Task: "q", Round: round, Attempt: 1, Epoch: 1, Verdict: record.Committed, Work: "evaluate", Prev: prev,
		Base: model.Hash{1}, Model: model.Hash{1}, Version: round, OrderHash: model.Hash{2}, OpenedMS: 1, ClosedMS: 2, CommittedMS: 3, Reason: "all",
	}
	var signer crypto.Signer // nil without one
	if key != nil {
		signer = key
	}
	sealed, err := r.Seal(signer)
	if err != nil {
		t.Fatal(err)
	}
	h, err := sealed.Head(signer)
	if err != nil {
		t.Fatal(err)
	}
	return h, sealed.Hash
}

// Heads are compared with those seen before, and their signatures with the key.
func TestRecords(t *testing.T) {
	t.Parallel()
	mine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	pub := mine.Public().(ed25519.PublicKey)
	f := newFixture(t, func(kid [8]byte) (ed25519.PublicKey, bool) { return pub, kid == wire.KeyIDOf(pub) })
	one, oneHash := head(t, 4, model.Hash{9}, mine)
	two, twoHash := head(t, 5, oneHash, mine)
	forged, _ := head(t, 6, oneHash, other)
	after, _ := head(t, 9, twoHash, nil)
	gap, _ := head(t, 12, model.Hash{3}, nil)
	for _, b := range [][]byte{one, two, two, one, forged, after, gap} {
		f.must(own+"q/record", b)
	}
	v, _ := f.Since(0)
	var got []string
	for _, r := range v.Tasks[0].Rounds {
		got = append(got, fmt.Sprintf("%d %s %s", r.Round, r.Chain, r.Sig))
	}
	want := "4 first verified, 5 linked verified, 6 broken bad, 9 linked unsigned, 12 gap unsigned"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if err := f.say(own+"q/record", bytes.Replace(two, []byte(`"round":5`), []byte(`"round": 5`), 1)); err == nil {
		t.Error("a head that is not canonical was taken")
	}
}

// What a hostile writer publishes is bounded, printable and survived.
func TestHostile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	long := strings.Repeat("x", 3000)
	many := object{}
	for i := range 200 {
		many[fmt.Sprintf("metric-%d%s", i, strings.Repeat("n", 5))] = i
	}
	for _, b := range []string{
		"", "null", "[]", "{", `"x"`, `{"schema":7}`, strings.Repeat("[", 9000), `{"schema":"fedmq.status.v1","progress":1e999}`,
		`{"schema":"fedmq.round.v1","round":-1}`, `{"value":null}`, `{"schema":"fedmq.state.v1","tasks":{}}`, strings.Repeat("a", MaxPayload+1),
	} {
		for _, topic := range []string{
			own + "state", own + "q/round", own + "q/kpi/x", own + "q/event", own + "q/record",
			"acme/a/_fl_v1/state", "acme/a/_fl_v1/q/status", "acme/a/_fl_v1/q/update", "other/_fl_v1/state", "",
		} {
			_ = f.say(topic, []byte(b))
		}
	}
	if err := f.say("acme/a/b/_fl_v1/q/status", object{
		"schema": "fedmq.status.v1", "phase": long, "message": "\x1b[2J\u202e<script>" + long, "error": "\x9b", "metrics": many, "progress": -7,
	}); err != nil {
		t.Fatal(err)
	}
	s := f.row("a/b")
	if len(s.Phase) > maxWord || len(s.Why) > maxText || len(s.Metrics) > MaxMetrics || *s.Progress != 0 || strings.ContainsAny(s.Why, "\x1b\u202e\u009b") {
		t.Errorf("%+v", s)
	}
	f.must(own+"q/round", object{"schema": "fedmq.round.v1", "phase": "open", "opened_ms": math.MaxInt64 / 2, "deadline_ms": uint64(math.MaxUint64), "waiting_for": []string{"../x", "ok"}})
	v, _ := f.Since(0)
	if w := v.Tasks[0].WaitingFor; len(w) != 1 || w[0] != "ok" || v.Ignored == 0 {
		t.Errorf("waiting for %q, %d ignored", w, v.Ignored)
	}
}

// Nothing grows without end.
func TestBounds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	st := []byte(`{"schema":"fedmq.status.v1","phase":"training","round":1,"metrics":{"loss":1}}`)
	for i := range MaxMembers + 100 {
		err := f.say("acme/"+path(i)+"/_fl_v1/q/status", st)
		if (err != nil) != (i >= MaxMembers) {
			t.Fatalf("site %d: %v", i, err)
		}
	}
	for i := range 2 * MaxTasks {
		_ = f.say(fmt.Sprintf(own+"task-%d/round", i), object{"schema": "fedmq.round.v1"})
	}
	v, _ := f.Since(0)
	if len(v.Sites) != MaxMembers || v.Crowded != 100 || len(v.Tasks) != MaxTasks {
		t.Errorf("%d sites, %d without room, %d tasks", len(v.Sites), v.Crowded, len(v.Tasks))
	}
	if h, _ := f.Site("q", path(1)); len(h["loss"].Values) != 1 {
		t.Errorf("%d numbers of one site", len(h["loss"].Values))
	}
	for i := range 2 * maxPoints / MaxMembers {
		f.must("acme/"+path(1)+"/_fl_v1/q/status", object{"schema": "fedmq.status.v1", "round": i + 2, "metrics": object{"loss": i + 2}})
	}
	if h, _ := f.Site("q", path(1)); len(h["loss"].Values) != maxPoints/MaxMembers {
		t.Errorf("%d numbers of one site among many, want %d", len(h["loss"].Values), maxPoints/MaxMembers)
	}
}

// A task's history is a ring.
func TestLongTask(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for i := range 2 * MaxRounds {
		f.must(own+"q/round", object{"schema": "fedmq.round.v1", "round": i + 1, "last": object{"round": i, "attempt": 1, "work": "train", "verdict": "committed"}})
		f.event("opened", "", i, nil)
		f.must("acme/a/_fl_v1/q/status", object{"schema": "fedmq.status.v1", "round": i, "metrics": object{"loss": i, "rmse": 1}})
	}
	v, _ := f.Since(0)
	task := v.Tasks[0]
	if len(task.Rounds) != MaxRounds || len(task.Events) != MaxEvents || task.Rounds[MaxRounds-1].Round != 2*MaxRounds-1 {
		t.Errorf("%d rounds to %d, %d events", len(task.Rounds), task.Rounds[len(task.Rounds)-1].Round, len(task.Events))
	}
	if h, _ := f.Site("q", "a"); len(h["loss"].Values) != MaxRounds {
		t.Errorf("%d numbers of one site", len(h["loss"].Values))
	}
}

// Exact subscriptions: the owner's topics always, a member's until it is heard.
func TestExact(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.must(own+"state", object{"schema": "fedmq.state.v1", "online": true, "tasks": []string{"q", "roster", "Q"}})
	f.open(1, 0, 1)
	standing, once := f.Exact()
	if got := strings.Join(standing, " ") + " | " + strings.Join(once, " "); got != own+"state "+own+"q/round "+own+"q/record | "+own+"q/history acme/a/x/_fl_v1/state acme/a/x/_fl_v1/q/status" {
		t.Error(got)
	}
	f.must(own+"q/history", object{"schema": "fedmq.history.v1"})
	f.status("a/x", 1, "training", "", "")
	f.must("acme/b/y/_fl_v1/state", object{"schema": "fedmq.state.v1", "online": true, "tasks": []string{"q"}})
	if _, once = f.Exact(); len(once) != 2 || once[1] != "acme/b/y/_fl_v1/q/status" {
		t.Errorf("%q, want what is there and has said nothing", once)
	}
	f.status("b/y", 1, "training", "", "")
	if _, once = f.Exact(); len(once) != 0 {
		t.Errorf("%q, want nothing more", once)
	}
	ns := f.cfg.Namespace
	allowed := Filters(ns, "", nil, nil)
	for _, s := range append(standing, "acme/a/x/_fl_v1/state", "acme/a/x/_fl_v1/q/status") {
		ok := false
		for _, a := range allowed {
			ok = ok || topics.Contains(a, s)
		}
		if !ok {
			t.Errorf("%s is no topic that a watcher may read", s)
		}
	}
}

// FuzzApply: no bytes on any topic make it panic or grow.
func FuzzApply(f *testing.F) {
	f.Add(own+"q/round", []byte(`{"schema":"fedmq.round.v1","round":1,"phase":"open","opened_ms":1,"deadline_ms":5,"last":{"round":1,"verdict":"committed","metrics":{"a":1}}}`))
	f.Add("acme/a/_fl_v1/q/status", []byte(`{"schema":"fedmq.status.v1","metrics":{"a":1}}`))
	f.Add(own+"q/event", []byte(`{"schema":"fedmq.event.v1","event":"accepted","member":"a"}`))
	f.Add(own+"q/kpi/a", []byte(`{"timestamp_ms":1,"value":1}`))
	f.Fuzz(func(t *testing.T, topic string, b []byte) {
		x := newFixture(t, nil)
		for i := range 3 {
			_ = x.Apply(Message{Topic: topic, Payload: b, Live: i == 1}, x.at)
			x.later(60)
		}
		if v, _ := x.Since(0); len(v.Tasks) > 2*MaxTasks || len(v.Sites) > 4 {
			t.Errorf("%d tasks, %d sites of one message", len(v.Tasks), len(v.Sites))
		}
	})
}
