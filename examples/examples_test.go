package examples_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedmq/fedmq/examples/gasturbine"
	"github.com/fedmq/fedmq/examples/tep"
	"github.com/fedmq/fedmq/examples/turbofan"
	"github.com/fedmq/fedmq/examples/wells"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// slow is set under the race detector.
var slow bool

func TestTurbofan(t *testing.T) {
	if slow {
		t.Skip("90 s of arithmetic on one goroutine: nothing to race with")
	}
	if testing.Short() {
		t.Skip("a quarter of a minute of arithmetic")
	}
	t.Parallel()
	e := load(t, turbofan.Files, turbofan.Sites())
	if e.all.Train.N != 19823 || e.all.Test.N != 200 || len(e.all.Features) != 48 {
		t.Fatalf("%d windows, %d engines, %d features", e.all.Train.N, e.all.Test.N, len(e.all.Features))
	}
	for i, d := range e.sites {
		if d.Test.N != 20 {
			t.Errorf("%s has %d test engines", e.members[i], d.Test.N)
		}
	}
	m := e.federated(t, e.settings, e.rounds, nil)
	federated := e.score(t, m)["rmse"]
	mean, best, worst := e.isolated(t, nil, "rmse")
	central := e.central(t, "rmse")
	t.Logf("RMSE in flights: federated %.2f, isolated %.2f (%.2f to %.2f), centralised %.2f", federated, mean, best, worst, central)
	if federated > 15 || federated >= best || federated > mean-8 {
		t.Errorf("federated %.2f: want at most 15, below each isolated model (best %.2f) and 8 below their mean %.2f", federated, best, mean)
	}
	if central > 14.5 || mean < 22 || mean > 29 {
		t.Errorf("centralised %.2f (12.8 in the reference), isolated mean %.2f (25.0)", central, mean)
	}
}

func TestWells(t *testing.T) {
	t.Parallel()
	e := load(t, wells.Files, wells.Sites())
	if e.all.Train.N != 6385 || e.all.Test.N != 2321 || len(e.all.Features) != 28 {
		t.Fatalf("%d and %d windows, %d features", e.all.Train.N, e.all.Test.N, len(e.all.Features))
	}
	federated := e.score(t, e.federated(t, e.settings, e.rounds, nil))
	mean, worst, best := e.isolated(t, nil, "accuracy")
	_, _, scaled := e.isolated(t, e.all, "accuracy")
	central := e.central(t, "accuracy")
	t.Logf("accuracy: federated %.3f (macro F1 %.3f), isolated %.3f (%.3f to %.3f), centralised %.3f",
		federated["accuracy"], federated["macro_f1"], mean, worst, best, central)
	// A well that scales by its own deviations happens to call most of the
	// others' windows normal, as most are: compare with the mean there, with
	// each where all scale alike.
	if a := federated["accuracy"]; a < 0.85 || a < mean+0.3 || a < scaled+0.3 {
		t.Errorf("federated %.3f: want at least 0.85, 0.3 above the isolated mean %.3f and above each with the common z-score (best %.3f)", a, mean, scaled)
	}
	if central < 0.8 || mean < 0.3 || mean > 0.55 {
		t.Errorf("centralised %.3f (0.848 in the reference), isolated mean %.3f", central, mean)
	}
	if f := federated["macro_f1"]; f < 0.6 || f > 0.7 {
		t.Errorf("macro F1 %.3f, 0.65 in the reference", f)
	}
}

// The plants hold every row of theirs, and the test rows each once; the files are those
// that the page names.
func TestTEP(t *testing.T) {
	t.Parallel()
	e := load(t, tep.Files, tep.Sites())
	if e.all.Train.N != 8660 || e.all.Test.N != 3640 || len(e.all.Features) != 52 || e.arch.Outputs != 18 {
		t.Fatalf("%d and %d rows, %d features, %d classes", e.all.Train.N, e.all.Test.N, len(e.all.Features), e.arch.Outputs)
	}
	named(t, "tep/README.md", tep.Files, "train.csv.gz", "test.csv.gz")
}

// named holds files against the page that names their SHA-256.
func named(t *testing.T, page string, files fs.FS, names ...string) {
	t.Helper()
	text, err := os.ReadFile(page)
	check(t, err)
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		check(t, err)
		if !strings.Contains(string(text), fmt.Sprintf("SHA-256 %x", sha256.Sum256(b))) {
			t.Errorf("%s has another SHA-256 than %s says", name, page)
		}
	}
}

// The years hold every row once, those of their test weeks in two halves.
func TestGasturbine(t *testing.T) {
	t.Parallel()
	e := load(t, gasturbine.Files, gasturbine.Sites())
	if e.all.Train.N != 27837 || e.all.Test.N != 8896 || len(e.all.Features) != 9 || len(e.sites) != 5 {
		t.Fatalf("%d and %d rows, %d features, %d years", e.all.Train.N, e.all.Test.N, len(e.all.Features), len(e.sites))
	}
	named(t, "gasturbine/README.md", gasturbine.Files, "gt.csv.gz")
}

// A linear model of NOx, from zero, with one step over all rows a round: gradient descent over the
// rows of all years, with known numbers.
func TestGasturbineOracle(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for name, edits := range map[string][]string{
		"gt.csv.gz":       nil,
		"aggregator.yaml": {"{mlp: {inputs: 9, hidden: [32, 16], outputs: 1, task: regression, seed: 1}}", "{linear: {inputs: 9, outputs: 1}}"},
		"site.yaml":       {"offset: 65, scale: 12", "offset: 0, scale: 1"},
	} {
		b, err := gasturbine.Files.ReadFile(name)
		check(t, err)
		text := string(b)
		if edits != nil {
			if text = strings.Replace(text, edits[0], edits[1], 1); text == string(b) {
				t.Fatalf("%s has no %s", name, edits[0])
			}
		}
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	e := load(t, files, gasturbine.Sites())
	m := e.federated(t, tabular.Settings{Epochs: 1, Batch: 0, LR: 0.1}, 200, nil)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-5*math.Abs(want) {
			t.Errorf("%s is %.7g, want %.7g", what, got, want)
		}
	}
	near("RMSE over all test rows", e.score(t, m)["rmse"], 8.626754)
	bias, err := m.Float32s(model.BiasName(0))
	check(t, err)
	near("bias", float64(bias[0]), 65.32713)
	w, err := m.Float32s(model.WeightName(0))
	check(t, err)
	for i, want := range []float64{-8.960444, -1.467170, -3.115559, 1.231541, -6.321228, 9.907211, -5.665339, -5.300904, -4.816777} {
		near("weight of "+e.all.Features[i], float64(w[i]), want)
	}
}

// With one step over all rows a round, from zero, federated averaging is
// gradient descent over all rows: no randomness, and known numbers.
func TestWellsOracle(t *testing.T) {
	t.Parallel()
	e := load(t, wells.Files, wells.Sites())
	want := map[int]struct{ loss, correct float64 }{
		1: {1.510026, 1801}, 10: {0.648352, 2051}, 100: {0.348391, 2050}, 200: {0.301886, 2026},
	}
	last := e.federated(t, tabular.Settings{Epochs: 1, Batch: 0, LR: 0.5}, 200, func(round int, m *model.Model) {
		w, ok := want[round]
		if !ok {
			return
		}
		train := *e.all
		train.Test = train.Train
		s, err := tabular.Score(t.Context(), m, &train)
		check(t, err)
		if got := s.Scores()["loss"]; math.Abs(got-w.loss) > 1e-5*w.loss {
			t.Errorf("round %d: training loss %.7f, want %.6f", round, got, w.loss)
		}
		if got := e.score(t, m); math.Abs(got["accuracy"]*got["n"]-w.correct) > 1 {
			t.Errorf("round %d: %.0f correct, want %.0f", round, got["accuracy"]*got["n"], w.correct)
		}
	})
	w, err := last.Float32s(model.WeightName(0))
	check(t, err)
	var square float64
	for _, v := range w {
		square += float64(v) * float64(v)
	}
	if norm := math.Sqrt(square); math.Abs(norm-5.441116) > 1e-5*norm {
		t.Errorf("norm of the weights %.6f, want 5.441116", norm)
	}
	mean, err := last.Float64s(model.ZMeanName)
	check(t, err)
	sd, err := last.Float64s(model.ZSDName)
	check(t, err)
	features := map[string][2]float64{
		"p_pdg_mean": {1.305818, 2.537289}, "p_pdg_std": {0.951978, 1.952797},
		"p_pdg_slope": {0.095082, 0.860812}, "p_pdg_mean.missing": {0.001253, 0.035375},
	}
	for j, name := range e.all.Features {
		if w, ok := features[name]; ok {
			delete(features, name)
			if math.Abs(mean[j]-w[0]) > 6e-7 || math.Abs(sd[j]-w[1]) > 6e-7 {
				t.Errorf("%s: mean %.6f, sd %.6f, want %v", name, mean[j], sd[j], w)
			}
		}
	}
	if len(features) > 0 {
		t.Errorf("no features %v", features)
	}
}

// BenchmarkTurbofanEpoch is one epoch over the windows of all ten fleets.
func BenchmarkTurbofanEpoch(b *testing.B) {
	e := load(b, turbofan.Files, turbofan.Sites())
	m, s := e.start(b, e.all), e.settings
	s.Epochs = 1
	b.ReportAllocs()
	for b.Loop() {
		_, err := tabular.Fit(b.Context(), m, e.all, s, [32]byte{1}, nil)
		check(b, err)
	}
	b.ReportMetric(float64(e.all.Train.N)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkTurbofanLoad reads and windows the data of one fleet.
func BenchmarkTurbofanLoad(b *testing.B) {
	for b.Loop() {
		load(b, turbofan.Files, turbofan.Sites()[:1])
	}
}
