package aggregator

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// adds are members whose updates are 1, 2, 3...; those named decline.
func adds(t *testing.T, n int, decline ...string) []OfflineMember {
	t.Helper()
	var all []OfflineMember
	for i := range n {
		path := string(rune('a' + i))
		all = append(all, OfflineMember{Path: path, Samples: 1, Do: func(_ context.Context, o OfflineOrder) (wire.Update, error) {
			u := wire.Update{Samples: 1, Metrics: trainer.Metrics{trainer.SumN: 1, trainer.SumCorrect: 1}}
			if slices.Contains(decline, path) {
				return u, errors.New("out of order")
			}
			if o.Work == wire.WorkTrain {
				u.Tensors = model.New(o.Base.Schema)
				return u, u.Tensors.SetFloat32s("w", []float32{float32(i + 1)})
			}
			return u, nil
		}})
	}
	return all
}

func offlineConfig(t *testing.T, change func(*Task)) Config {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	task := Task{Name: "t", Members: []string{"+"}, Rounds: 3, Quorum: 2, Init: model.New(s)}
	if change != nil {
		change(&task)
	}
	return Config{Namespace: "acme", Tasks: []Task{task}}
}

func w(t *testing.T, m *model.Model) float32 {
	t.Helper()
	v, err := m.Float32s("w")
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}

// A task runs to its end, and every round has its record.
func TestOffline(t *testing.T) {
	t.Parallel()
	c := offlineConfig(t, nil)
	var works []string
	c.OnRecord = func(_ string, r record.Record) {
		works = append(works, r.Work)
		if b := r.Best; (b != nil) != (r.Round > 1) || b != nil && *b != (record.Best{Version: 1, Trained: 1, Round: 2, Metric: "accuracy", Value: 1}) {
			t.Errorf("round %d says that the best is %+v", r.Round, b)
		}
		if r.Counts()["counted"] != 3 || r.Metrics["accuracy"].Value != 1 || r.Metrics["accuracy"].Sites != 3 {
			t.Errorf("round %d: %v, %v", r.Round, r.Counts(), r.Metrics)
		}
	}
	members := adds(t, 3)
	var fates []uint64
	members[1].Settled = func(round uint64, counted bool) {
		if counted {
			fates = append(fates, round)
		}
	}
	m, best, err := Offline(t.Context(), c, members)
	if err != nil {
		t.Fatal(err)
	}
	if w(t, m) != 6 || strings.Join(works, " ") != "train train train evaluate" || len(fates) != 4 {
		t.Errorf("w is %v after %v, settled %v", w(t, m), works, fates)
	}
	if best == nil || w(t, best) != 2 { // of equals the first that was trained
		t.Errorf("the best is %v", best)
	}
	if w(t, c.Tasks[0].Init) != 0 {
		t.Error("the first model has changed")
	}
	got, about, err := EvaluateOffline(t.Context(), c, members, m)
	if err != nil || got["accuracy"].Rows != 3 || about.Shown != "accuracy" {
		t.Errorf("%v, %v", got, err)
	}
}

// One that declines is not waited for; below the quorum the error says who and why.
func TestOfflineDecline(t *testing.T) {
	t.Parallel()
	m, _, err := Offline(t.Context(), offlineConfig(t, nil), adds(t, 3, "c"))
	if err != nil || w(t, m) != 4.5 {
		t.Errorf("%v", err)
	}
	_, _, err = Offline(t.Context(), offlineConfig(t, nil), adds(t, 3, "b", "c"))
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "round 1, train, is below its quorum: b: declined (out of order); c: declined (out of order)") {
		t.Errorf("%v", err)
	}
	for want, change := range map[string]func(*Task){
		"quorum: 4, and there are 3 sites": func(t *Task) { t.Quorum = 4 },
		"a: none of the members: x/+":      func(t *Task) { t.Members = []string{"x/+"} },
	} {
		if _, _, err := Offline(t.Context(), offlineConfig(t, change), adds(t, 3)); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Offline(ctx, offlineConfig(t, nil), adds(t, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What chance decides is decided by Rand: who is asked, and whose update comes
// before the goal is reached.
func TestOfflineChance(t *testing.T) {
	t.Parallel()
	run := func(seed byte, change func(*Task)) (cohorts string) {
		c := offlineConfig(t, change)
		rng := rand.NewChaCha8([32]byte{seed})
		c.Rand = func(p []byte) { _, _ = rng.Read(p) }
		var b bytes.Buffer
		c.OnRecord = func(_ string, r record.Record) {
			for _, e := range r.Entries {
				if e.Verdict.String() == "counted" {
					b.WriteString(e.Member)
				}
			}
			b.WriteByte(' ')
		}
		if _, _, err := Offline(t.Context(), c, adds(t, 9)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, change := range map[string]func(*Task){
		"sample": func(t *Task) { t.Sample = 0.5 },
		"goal":   func(t *Task) { t.Goal = 3 },
	} {
		first := run(1, change)
		if first != run(1, change) || first == run(2, change) || strings.Contains(first, "abcdefghi ") {
			t.Errorf("%s: %s, then %s, and %s of another seed", name, first, run(1, change), run(2, change))
		}
	}
}

// The score of a record is with the threshold where the metric hangs on it; of a bias the
// nearer to 0 is the better; of a number of the trainers' own nobody knows.
func TestScore(t *testing.T) {
	t.Parallel()
	of := func(name string, v float64) record.Record {
		return record.Record{Metrics: record.Metrics{name: {Value: record.Number(v), Sites: 3}}, Measured: record.Measured{Shown: name}}
	}
	rare := of(trainer.ScoreMacroF1, .5)
	rare.Threshold = &record.Threshold{Sites: 2, Scores: record.Values{trainer.ScoreMacroF1: .8}}
	area := of(trainer.ScoreROCAUC, .9)
	area.Threshold = rare.Threshold
	for _, c := range []struct {
		r    record.Record
		stop *Stop
		want *round.Score
	}{
		{rare, nil, &round.Score{Metric: "macro_f1", Value: .8, Members: 2}},
		{area, nil, &round.Score{Metric: "roc_auc", Value: .9, Members: 3}},
		{of("rmse", 2), nil, &round.Score{Metric: "rmse", Value: 2, Less: true, Members: 3}},
		{of("bias", -2), nil, &round.Score{Metric: "bias", Value: -2, Less: true, Near: true, Members: 3}},
		{of("drift", 2), nil, nil},
		{of("drift", 2), &Stop{Mode: ModeMin}, &round.Score{Metric: "drift", Value: 2, Less: true, Members: 3}},
		{of("loss", math.NaN()), nil, nil},
		{of("loss", math.Inf(1)), nil, nil},
		{record.Record{}, nil, nil},
	} {
		if got := (Task{Stop: c.stop}).score(c.r); (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%v: %+v, want %+v", c.r.Metrics, got, c.want)
		}
	}
}

// Where nobody was asked to measure, no metric is missed; where all were, it is.
func TestNoteOfMetric(t *testing.T) {
	t.Parallel()
	for work, want := range map[string]string{wire.WorkStatistics: "", wire.WorkTrain: "metric: accuracy is reported by no site"} {
		o, err := newOffline(offlineConfig(t, func(t *Task) { t.Metric = trainer.ScoreAccuracy }), adds(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		if _, m := o.t.metrics(work); m.Note != want {
			t.Errorf("%s: %q, want %q", work, m.Note, want)
		}
	}
}
