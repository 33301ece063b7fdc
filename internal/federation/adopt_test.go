package federation

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// backup runs a federation to its fourth round and puts back the aggregator's
// data directory as it stood after its second. The sites go on running; site c
// trains a round for each value in gate.
func backup(t *testing.T, w *world, gate chan struct{}) []*party {
	t.Helper()
	dir, copied := filepath.Join(w.dir, "aggregator"), filepath.Join(w.dir, "backup")
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20}), w.site("c", seeded{samples: 30, gate: gate})}
	for i, upTo := range []uint64{2, 4} {
		a := w.aggregate(w.config(six))
		for range 2 {
			gate <- struct{}{}
		}
		a.until(t, upTo)
		waitFor(t, w, "the next round is open", func(v view) bool { return v.Round == upTo+1 && v.Accepted == 2 })
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(copied, dir)); err != nil {
		t.Fatal(err)
	}
	return sites
}

func six(t *aggregator.Task) { t.Rounds, t.Quorum = 6, 3 }

// enlarge makes the model one of several parts.
func (w *world) enlarge() {
	w.t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "rest", DType: model.F32, Shape: []int{100_000}},
		model.Spec{Name: "weight", DType: model.F32, Shape: []int{3, 4}},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	w.initial = model.New(s)
}

// ends waits for an aggregator to end by itself.
func (a *aggregation) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(patience):
		t.Fatal("the aggregator does not end")
		return nil
	}
}

// TestAdopt: an aggregator whose data directory is an older copy stops and
// says so. With AdoptEpoch it goes on above what was seen: signed, with the
// model on the broker; unsigned, with the disk's.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"signed", "signed, in parts", "unsigned"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			signed := name != "unsigned"
			if signed {
				w.keys = &keyring{members: []string{"a", "b", "c"}}
			}
			if name == "signed, in parts" {
				w.enlarge()
			}
			gate := make(chan struct{}, 100)
			sites := backup(t, w, gate)
			before := len(w.recorded())
			err := w.aggregate(w.config(six)).ends(t)
			if !errors.Is(err, aggregator.ErrBehind) || !strings.Contains(err.Error(), "epoch 2, round 5") || !strings.Contains(err.Error(), "--adopt-epoch") {
				t.Fatalf("ended with %v, want ErrBehind with epoch 2, round 5 and the way out", err)
			}
			if n := len(w.recorded()); n != before {
				t.Errorf("%d records after the refusal, %d before", n, before)
			}
			cfg := w.config(six)
			cfg.AdoptEpoch = true
			close(gate)
			a := w.aggregate(cfg)
			a.finish(t)
			w.stopAll(append(sites, a.party)...)
			checkAdopted(t, w.recorded(), signed)
		})
	}
}

// checkAdopted wants one adopted record, of round 5, and the rest of the rounds
// committed by everybody.
func checkAdopted(t *testing.T, recs []record.Record, fromBroker bool) {
	t.Helper()
	var last record.Record
	adopted := 0
	for _, r := range recs {
		if r.Verdict == record.Adopted {
			adopted++
			if r.Round != 5 || r.Epoch != 3 || r.Version != 5 || r.Base != last.Model {
				t.Errorf("adopted: round %d, version %d, epoch %d, base %s; want 5, 5, 3, %s", r.Round, r.Version, r.Epoch, r.Base, last.Model)
			}
			if (r.Model != r.Base) != fromBroker {
				t.Errorf("adopted: the model is %s, the disk's was %s (%s)", r.Model, r.Base, r.Reason)
			}
		} else if r.Round > 0 && (r.Verdict != record.Committed || r.Counts()["counted"] != 3) {
			t.Errorf("round %d: %s, %v, want committed by 3", r.Round, r.Verdict, r.Counts())
		}
		last = r
	}
	if adopted != 1 || last.Round != 7 || last.Work != "evaluate" {
		t.Errorf("%d adopted records and a last one of round %d, %s; want 1 and round 7, evaluate", adopted, last.Round, last.Work)
	}
}

// TestAdoptWithoutTheBroker: the data directory is an older copy and the broker
// has forgotten everything. Nobody follows the aggregator back: their joins
// say what they have seen, and it stops. With AdoptEpoch it goes on above it.
func TestAdoptWithoutTheBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keys = &keyring{members: []string{"a", "b", "c"}}
	gate := make(chan struct{}, 100)
	sites := backup(t, w, gate)
	w.stopBroker()
	w.startBroker()
	err := w.aggregate(w.config(six)).ends(t)
	if !errors.Is(err, aggregator.ErrBehind) || !strings.Contains(err.Error(), "round 5") || !strings.Contains(err.Error(), "claim to have seen") {
		t.Fatalf("ended with %v, want ErrBehind with what members claim", err)
	}
	cfg := w.config(six)
	cfg.AdoptEpoch = true
	close(gate)
	a := w.aggregate(cfg)
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	var adopted []record.Record
	for _, r := range w.recorded() {
		if r.Verdict == record.Adopted {
			adopted = append(adopted, r)
		} else if r.Verdict == record.Committed && r.Round > 2 && len(adopted) == 0 {
			t.Errorf("round %d was committed again", r.Round)
		}
	}
	if len(adopted) != 1 || adopted[0].Round != 5 || adopted[0].Model != adopted[0].Base {
		t.Errorf("adopted %+v, want one record of round 5 with the disk's model", adopted)
	}
}

// TestOneClaimStopsNobody: a single member that claims to have seen a later
// order does not stop the others.
func TestOneClaimStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keys = &keyring{members: []string{"a", "b", "liar"}}
	gate := make(chan struct{}, 10)
	a := w.aggregate(w.config(func(t *aggregator.Task) { t.Rounds, t.StartWhen = 1, 2 }))
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20, gate: gate})}
	waitFor(t, w, "a is accepted", func(v view) bool { return v.Accepted == 1 })
	liar := w.client(t, "liar", "acme/_fl_v1/"+task+"/reply/liar", "acme/_fl_v1/"+task+"/order")
	body, err := wire.Encode(wire.Join{Samples: 1, Instance: wire.Nonce{1}, SeenEpoch: 1 << 40, SeenRound: 1 << 40, SeenAttempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	topic := "acme/liar/_fl_v1/" + task + "/join"
	origin := originOf(t, liar.next("the order", func(m message) bool { return strings.HasSuffix(m.topic, "/order") }).payload)
	p, err := wire.Seal(wire.Header{Task: task, Kind: wire.KindJoin, Sender: "acme/liar", Owner: "acme", Topic: topic, CreatedMS: 1, Origin: origin}, body, w.keys.signer(t, "liar"))
	if err != nil {
		t.Fatal(err)
	}
	liar.publish(topic, p, false)
	liar.next("a welcome", func(m message) bool { return strings.HasSuffix(m.topic, "/liar") && len(m.payload) > 0 })
	close(gate)
	a.until(t, 1)
	liar.stop()
	w.stopAll(append(sites, a.party)...)
}

// TestNobodyGoesBack: a site does not obey an order of a higher epoch and a
// lower round.
func TestNobodyGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trained := 0
	one := func(t *aggregator.Task) { t.StartWhen, t.Quorum, t.Rounds = 1, 1, 2 }
	s := w.site("a", seeded{samples: 10, trained: &trained})
	a := w.aggregate(w.config(one))
	a.finish(t)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	w.stopBroker() // with everything it knew
	w.startBroker()
	cfg := w.config(one)
	cfg.DataDir = filepath.Join(w.dir, "empty") // epoch 1 again, then 2
	for range 2 {
		a = w.aggregate(cfg)
		waitFor(t, w, "the order waits", func(v view) bool { return v.Round == 1 })
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
	}
	w.stopAll(s)
	if trained != 2 {
		t.Errorf("the site trained %d times, want the 2 rounds of the first task", trained)
	}
}
