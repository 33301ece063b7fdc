package main

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// TestWellsOracleOverMQTT: with one step over all rows a round, from zero,
// weighted by the number of rows, federated averaging is gradient descent over
// the rows of all wells. Ten sites, an aggregator and a broker over MQTT have
// to reach the numbers of that descent, computed elsewhere (examples/wells).
func TestWellsOracleOverMQTT(t *testing.T) {
	if testing.Short() {
		t.Skip("200 rounds")
	}
	t.Parallel()
	const tolerance = 1e-4
	d, recs, models := federateWells(t, 200)
	all, err := tabular.Merge(d.data...)
	if err != nil {
		t.Fatal(err)
	}
	onTrain := *all
	onTrain.Test = all.Train
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > tolerance*math.Abs(want) {
			t.Errorf("%s: %.7f, want %.6f", what, got, want)
		}
	}
	for trained, want := range map[uint64]struct{ loss, correct float64 }{
		1: {1.510026, 1801}, 10: {0.648352, 2051}, 100: {0.348391, 2050}, 200: {0.301886, 2026},
	} {
		r := recs[trained+1] // record 0 is the initial model, record 1 the statistics
		train, err := tabular.Score(t.Context(), models(r.Model), &onTrain)
		if err != nil {
			t.Fatal(err)
		}
		near("training loss", train.Scores()["loss"], want.loss)
		next := recs[trained+2] // judges the model of r
		if got := float64(next.Metrics["accuracy"].Value) * 2321; math.Abs(got-want.correct) > 1.001 {
			t.Errorf("after %d rounds %.0f test windows are right, want %.0f", trained, got, want.correct)
		}
	}
	last := models(recs[len(recs)-1].Model)
	w, err := last.Float32s(model.WeightName(0))
	if err != nil {
		t.Fatal(err)
	}
	square := 0.0
	for _, v := range w {
		square += float64(v) * float64(v)
	}
	near("norm of the weights", math.Sqrt(square), 5.441116)
	checkZScore(t, last, all.Features, near)
}

func checkZScore(t *testing.T, m *model.Model, features []string, near func(string, float64, float64)) {
	t.Helper()
	mean, err := m.Float64s(model.ZMeanName)
	if err != nil {
		t.Fatal(err)
	}
	sd, err := m.Float64s(model.ZSDName)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float64{
		"p_pdg_mean": {1.305818, 2.537289}, "p_pdg_std": {0.951978, 1.952797}, "p_pdg_slope": {0.095082, 0.860812},
		"p_pdg_mean.missing": {0.00125294, 0.035375}, // more digits of .001253: 8 of 6,385 rows
	}
	for i, name := range features {
		if w, ok := want[name]; ok {
			near(name+" mean", mean[i], w[0])
			near(name+" sd", sd[i], w[1])
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("features %v are missing", want)
	}
}

// federateWells runs the wells example by full-batch descent and returns its
// committed records and a way to its models.
func federateWells(t *testing.T, rounds uint64) (*demo, []record.Record, func(model.Hash) *model.Model) {
	t.Helper()
	dir := t.TempDir()
	d := &demo{
		demoCmd: demoCmd{Example: "wells", Dir: dir, Listen: "127.0.0.1:0", Seed: 1},
		ex:      examples("wells"), logs: &logFlags{Level: "error", JSON: true}, talk: io.Discard,
	}
	url, _, stop, err := d.broker.embedded(t.Context(), d.Listen, filepath.Join(dir, "broker"), d.logs.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := d.layOut(url); err != nil {
		t.Fatal(err)
	}
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	task := &d.cfg.Tasks[0]
	task.Rounds, task.KeepModels = rounds, -1
	task.Cap = 1 << 20 // above every site's rows: the default cap would weigh S04 and S09 less
	task.Train = json.RawMessage(`{"epochs":1,"batch":0,"lr":0.5}`)
	if err := d.inProcess(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, readRecords(t, filepath.Join(d.cfg.DataDir, "records", d.task)), modelsOf(t, d)
}

func readRecords(t *testing.T, dir string) []record.Record {
	t.Helper()
	var raws [][]byte
	f := newRecordFiles(dir, func(record.Record) {})
	recs, err := f.rest()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	if err := record.CheckChain(raws); err != nil {
		t.Error(err)
	}
	return recs
}

func modelsOf(t *testing.T, d *demo) func(model.Hash) *model.Model {
	t.Helper()
	st, err := store.Open(d.cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(id model.Hash) *model.Model {
		blob, err := st.Blob(id)
		if err != nil {
			t.Fatal(err)
		}
		return &model.Model{Schema: d.cfg.Tasks[0].Init.Schema, Blob: blob}
	}
}
