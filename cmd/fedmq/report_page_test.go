package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
)

// measuredRun is a classification of three versions, of which the second did best.
func measuredRun() *taskRun {
	rec := func(round uint64, work string, f1 float64) record.Record {
		return record.Record{
			Round: round, Version: round, Attempt: 1, Work: work, Verdict: record.Committed, Base: model.Hash{byte(round)}, Model: model.Hash{byte(round + 1)},
			Strategy: record.Strategy{Name: "fedavg", Weights: "samples", Cap: 900, Thresholds: record.Values{"z": 9.2, "Z": 19.4, "C": 1.25}},
			Entries: record.Entries{
				{Member: "berlin", Verdict: verdict.Counted, Samples: 70, Metrics: record.Values{"macro_f1": f1 - 0.1, "n": 12}},
				{Member: "lyon", Verdict: verdict.Counted, Samples: 90, Metrics: record.Values{"macro_f1": f1 + 0.1, "n": 8}},
			},
			Metrics: record.Metrics{"macro_f1": {Value: record.Number(f1), Sites: 2, Best: record.Number(f1 + 0.1), BestSite: "lyon", Worst: record.Number(f1 - 0.1), WorstSite: "berlin"}},
			Measured: record.Measured{
				Shown: "macro_f1", Guess: record.Values{"macro_f1": 0.3}, Bounds: record.Values{"macro_f1": 0.002},
				Classes:   record.Classes{{Class: 0, Rows: 10, Predicted: 9, Correct: 8}, {Class: 1, Rows: 10, Predicted: 11, Correct: 9}},
				Confusion: record.Matrix{{8, 2}, {1, 9}},
			},
		}
	}
	best := func(r record.Record) record.Record {
		r.Best = &record.Best{Version: 1, Trained: 1, Round: 2, Metric: "macro_f1", Value: 0.8}
		return r
	}
	set := json.RawMessage(`{"name":"result","model":{"mlp":{"inputs":4}},"train":{"lr":0.02,"epochs":5},"seed":7,"rounds":3,"quorum":2}`)
	return &taskRun{
		Records: []record.Record{
			{Work: "init", Verdict: record.Committed, Model: model.Hash{1}},
			rec(1, "train", 0.4), best(rec(2, "train", 0.8)), best(rec(3, "train", 0.6)), best(rec(4, "evaluate", 0.7)),
		},
		Settings: []runSettings{{Settings: set, Sites: map[string]json.RawMessage{"lyon": json.RawMessage(`{"trainer":{"tabular":{"train":"lyon.csv"}}}`)}}},
	}
}

func rendered(t *testing.T, src reportSource) string {
	t.Helper()
	var b strings.Builder
	if err := (reportPage{OK: true, Tasks: []reportTask{reportOf(&taskReport{Task: "result"}, src)}}).render(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page has with what the task was run, which version did best, what each site has,
// and how the rows of each class were told, in the words of the data.
func TestReportShows(t *testing.T) {
	t.Parallel()
	html := rendered(t, reportSource{
		run:      measuredRun(),
		contract: &pipeline.Contract{Inputs: []pipeline.Input{{Name: "temp"}, {Name: "flow"}}, Target: pipeline.Target{Name: "result", Classes: []string{"ok", "worn"}}},
	})
	for what, want := range map[string]string{
		"best version":          `<b>macro_f1 0.8</b> is the best: version 1 of the model, after 1 round of training`,
		"round that measured":   `round 2 has measured version 1`,
		"best in the rounds":    `<td class="n">0.8</td><td class="mark">best</td>`,
		"best in the curve":     `<circle cx="218.7" cy="33.3" r="5" class="best"/>`,
		"guess in the curve":    `class="guess"/>`,
		"guess in numbers":      `best constant guess 0.3</span>`,
		"a metric":              `<tr><td>macro_f1</td><td class="n">0.8</td><td class="n">0.7</td><td class="n">± 0.002</td><td class="n">0.3</td>`,
		"confusion":             `<tr><th>ok</th><td class="right" style="--p: 80%">8</td><td style="--p: 20%">2</td></tr>`,
		"a class":               `<tr><td>worn</td><td class="n">10</td><td class="n">11</td><td class="n">0.818</td><td class="n">0.900</td><td class="n">0.857</td>`,
		"version of the matrix": `Of version 3, which round 4 has measured last`,
		"best site":             `<tr><td>lyon</td><td class="n">4</td><td class="n">4</td><td class="n">90</td><td class="n">8</td><td class="n">0.8</td><td class="mark">best</td><td></td><td>lyon.csv</td></tr>`,
		"worst site":            `<td class="n">0.6</td><td class="mark">worst</td>`,
		"training":              `<tr><th>training</th><td>epochs 5, lr 0.02</td></tr>`,
		"model":                 `<tr><th>model</th><td>mlp: inputs 4</td></tr>`,
		"seed":                  `<tr><th>seed</th><td>7</td></tr>`,
		"weights":               `<tr><th>weights</th><td>by rows, at most 900 of one site</td></tr>`,
		"guard":                 `<tr><th>guard</th><td>refuses values beyond 19.4, clips to a norm of 1.25</td></tr>`,
		"data":                  `160 rows to train on, 20 to test on, at 2 sites`,
		"inputs":                `<td>temp, flow</td>`,
		"target":                `<td>result: ok, worn</td>`,
		"else":                  `<tr><th>other settings</th><td>quorum 2</td></tr>`,
		"counters":              `3 rounds of training, 1 that only measured; no attempt came to nothing`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%s: no %s", what, want)
		}
	}
}

// What nobody has noted is not on the page, and the page says so.
func TestReportLeavesOut(t *testing.T) {
	t.Parallel()
	run := measuredRun()
	run.Settings = nil
	for i := range run.Records {
		r := &run.Records[i]
		r.Confusion, r.Shown, r.Guess, r.Best = nil, "", nil, nil
		for name, m := range r.Metrics {
			r.Metrics = record.Metrics{"own_" + name: m}
		}
	}
	html := rendered(t, reportSource{run: run})
	for _, want := range []string{"nobody noted them", "whether less or more of own_macro_f1 is better is not known", "there is no confusion matrix", "<td>class 1</td>"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, no := range []string{`class="best"`, `class="guess"/>`, `class="matrix"`, "<th>seed</th>", "<th>training</th>", `class="mark">best</td><td><code>`} {
		if strings.Contains(html, no) {
			t.Errorf("there is %q", no)
		}
	}
}

// The best version is the one that the last committed record names, whatever other
// numbers are greater: it alone is marked, compared and written.
func TestBestVersion(t *testing.T) {
	t.Parallel()
	run := measuredRun()
	m := run.Records[1].Metrics["macro_f1"]
	m.Value = 0.99 // of a version that nobody has trained
	run.Records[1].Metrics["macro_f1"] = m
	run.Records = append(run.Records, record.Record{Round: 5, Attempt: 1, Verdict: record.Abandoned})
	if best, ok := run.best(); !ok || best.Version != 1 || best.Trained != 1 {
		t.Errorf("version %d after %d rounds of training", best.Version, best.Trained)
	}
	if at := endsWith(run.Records); run.Records[at].Version != 1 {
		t.Errorf("it ends with version %d", run.Records[at].Version)
	}
	version, id, scores := run.outcome([]string{"macro_f1", "loss"})
	if version != "1" || id != shortHash(run.Records[1].Model) || !slices.Equal(scores, []string{"0.8", "-"}) {
		t.Errorf("compared are version %s, %s, %v", version, id, scores)
	}
	a := aboutAt(nil, run.Records, 1)
	if a.Best == nil || *a.Best != (bestBy{"macro_f1", 0.8}) || aboutAt(nil, run.Records, 2).Best != nil {
		t.Errorf("its file says %+v", a.Best)
	}
	run.Records[2].Threshold = &record.Threshold{Class: 1, Value: .3, Precision: .75, Recall: .9, Scores: record.Values{"macro_f1": 0.8}}
	st := &round.State{Contract: &round.Agreed{Contract: &pipeline.Contract{Target: pipeline.Target{Classes: []string{"ok", "worn"}}}}}
	about, err := json.Marshal(aboutAt(st, run.Records, 1))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	(&modelView{About: about}).printMeaning(&b)
	if want := "best     of all versions, by macro_f1: 0.8\nthreshold 0.3 or more is worn: precision 0.750, recall 0.900\nmetrics  macro_f1 0.8\n"; b.String() != want {
		t.Errorf("model show prints\n%s", b.String())
	}
	if html := rendered(t, reportSource{run: run}); !strings.Contains(html, `<b>macro_f1 0.8</b> with the threshold is the best`) {
		t.Error("the page does not say that it is with the threshold")
	}
}

// Trainings of fedmq baseline stand beside a run whose model their federation has made,
// else beside one of the same settings; not those of folds, of other seeds, or of others.
func TestReportBaseline(t *testing.T) {
	t.Parallel()
	run := measuredRun()
	of := func(beside, arm, site string, f1 float64) outcome {
		return outcome{
			trial: trial{Arm: arm, Site: site}, Key: beside + arm + site, Beside: beside, Model: "other",
			Metrics: record.Metrics{"macro_f1": {Value: record.Number(f1)}},
		}
	}
	trained := []outcome{
		of("x", armAlone, "lyon", 0.5), of("x", armAlone, "berlin", 0.7), of("x", armFederated, "", 0.8), of("x", armCentral, "", 0.9),
		of("y", armAlone, "lyon", 0.1), of("y", armFederated, "", 0.1), of("y", armCentral, "", 0.1),
	}
	if b := (reportSource{run: run, trained: trained}).baseline(); b != nil {
		t.Errorf("of other settings: %+v", b)
	}
	want := map[string]map[string]float64{"alone": {"macro_f1": 0.6}, "central": {"macro_f1": 0.9}}
	check := func(what string, same bool) {
		t.Helper()
		b := (reportSource{run: run, trained: trained}).baseline()
		if b == nil || b.Same != same {
			t.Fatalf("%s: %+v", what, b)
		}
		if diff := cmp.Diff(want, b.values); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	trained[2].Settings = settingsHash(run.settings().Settings)
	check("the same settings", false)
	trained[5].Settings, trained[2].Settings, trained[2].Model = trained[2].Settings, "", run.Records[4].Model.String()
	check("the same model", true)
	html := rendered(t, reportSource{run: run, trained: trained})
	for _, s := range []string{"its federated model is this task's, bit by bit", `class="central"/>`, `class="alone"/>`, `<td class="n">0.6</td><td class="n">0.9</td></tr>`} {
		if !strings.Contains(html, s) {
			t.Errorf("no %s", s)
		}
	}
	for i := range trained {
		trained[i].Fold = 1
	}
	if b := (reportSource{run: run, trained: trained}).baseline(); b != nil {
		t.Errorf("of folds: %+v", b)
	}
}

// Every verdict has words.
func TestReasonWords(t *testing.T) {
	t.Parallel()
	for r := verdict.Counted; !strings.HasPrefix(r.String(), "verdict("); r++ {
		if reasonWords[r] == "" {
			t.Errorf("%s has no words", r)
		}
	}
}

func TestVersionTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, last float64
		want        []float64
	}{
		{0, 1, []float64{0, 1}},
		{3, 3, []float64{3}},
		{1, 21, []float64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}},
		{7, 480, []float64{50, 100, 150, 200, 250, 300, 350, 400, 450}},
	} {
		if got := versionTicks(c.first, c.last); !slices.Equal(got, c.want) {
			t.Errorf("from %v to %v: %v, want %v", c.first, c.last, got, c.want)
		}
	}
}
