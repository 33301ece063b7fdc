package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
)

// encodedRun is what came of an example over MQTT whose updates travel in an encoding.
type encodedRun struct {
	d     *demo
	value float64 // metric that is shown, of the last model
	up    int64   // payload bytes of the updates
	recs  []record.Record
}

// runEncoded runs an example over a broker.
func runEncoded(t *testing.T, example, encoding string, seed, rounds uint64) encodedRun {
	t.Helper()
	dir := t.TempDir()
	d := &demo{
		demoCmd: demoCmd{Example: example, Dir: dir, Listen: "127.0.0.1:0", Seed: seed},
		ex:      examples(example), logs: &logFlags{Level: "error", JSON: true}, talk: io.Discard,
	}
	url, _, stop, err := d.broker.embedded(t.Context(), d.Listen, filepath.Join(dir, "broker"), d.logs.logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.layOut(url); err != nil {
		t.Fatal(err)
	}
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	task := &d.cfg.Tasks[0]
	task.Encoding = encoding
	if rounds > 0 {
		task.Rounds = rounds
	}
	if err := d.inProcess(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r := encodedRun{d: d, recs: readRecords(t, filepath.Join(d.cfg.DataDir, "records", d.task))}
	for _, rec := range r.recs {
		for _, e := range rec.Entries {
			if rec.Work == "train" {
				r.up += e.Bytes
			}
		}
		if m, ok := rec.Metrics[d.ex.metric]; ok {
			r.value = float64(m.Value)
		}
	}
	return r
}

// With what updates leave over, a baseline makes the bits of a federation over MQTT.
func TestEncodedBaseline(t *testing.T) {
	racing.Skip(t, "TestReadmeBaseline has the goroutines")
	t.Parallel()
	r := runEncoded(t, "wells", "topk:0.1", 1, 3)
	var sites []fieldSite
	for i, f := range r.d.files {
		sites = append(sites, fieldSite{member: f.Member, data: r.d.data[i]})
	}
	got, err := field{sites: sites}.federate(t.Context(), r.d.cfg, sites, sites)
	if err != nil {
		t.Fatal(err)
	}
	if last := r.recs[len(r.recs)-1]; got.model.ContentID() != last.Model {
		t.Errorf("the baseline ends with %s, the federation with %s", got.model.ContentID(), last.Model)
	}
	for _, rec := range r.recs {
		for _, e := range rec.Entries {
			if rec.Work == "train" && e.Encoding != "topk:0.1" {
				t.Errorf("round %d, %s: as %q", rec.Round, e.Member, e.Encoding)
			}
		}
	}
}

// encodingRow is a row of the table in docs/explain/encodings.md.
type encodingRow struct {
	encoding    string
	value, up   []float64 // by seed: metric, and bytes
	worse, less float64   // than dense, as shares
}

// encodingRuns is what a table is of.
type encodingRuns struct {
	examples, encodings []string
	seeds               uint64
}

// TestEncodingTable writes the table of docs/explain/encodings.md: make encodings; or, with
// "quick" in place of the page, prints a small one: make encodings-quick. What the page promises of
// q8+zstd must hold.
func TestEncodingTable(t *testing.T) {
	page := os.Getenv("FEDMQ_ENCODINGS")
	runs := encodingRuns{[]string{"turbofan", "wells", "tep"}, []string{"dense", "f16", "bf16", "q8", "q8+zstd", "topk:0.1", "topk:0.01"}, 3}
	switch page {
	case "":
		t.Skip("make encodings: minutes")
	case "quick":
		runs = encodingRuns{[]string{"turbofan", "tep"}, []string{"dense", "q8+zstd"}, 1}
	}
	var text bytes.Buffer
	for _, example := range runs.examples {
		rows := runs.rows(t, example)
		ex := examples(example)
		fmt.Fprintf(&text, "%s, %s of the last model, seeds 1 to %d:\n\n", example, ex.metric, runs.seeds)
		fmt.Fprintf(&text, "| encoding | %s | beside dense | bytes of updates | of dense |\n|---|---|---|---|---|\n", ex.metric)
		for _, r := range rows {
			fmt.Fprintf(&text, "| `%s` | %.4g (%s) | %+.1f %% | %.2f MB | %.3f |\n", r.encoding, mean(r.value), listOf(r.value), 100*r.worse, mean(r.up)/1e6, r.less)
			if most := mostBytes[example]; r.encoding == "q8+zstd" && most > 0 && (r.less > most || math.Abs(r.worse) > 0.01) {
				t.Errorf("%s, q8+zstd: %.3f of the bytes, %s %+.2f %%, want %.2f and 1 %%", example, r.less, ex.metric, 100*r.worse, most)
			}
		}
		fmt.Fprintln(&text)
	}
	t.Logf("%s", text.String())
	if page != "quick" {
		writeBetween(t, page, "encodings", text.String())
	}
}

// mostBytes is what q8+zstd may take of the bytes of dense updates. Of the wells' 203 values the
// message around them is the larger part.
var mostBytes = map[string]float64{"turbofan": 0.30, "tep": 0.31}

func (e encodingRuns) rows(t *testing.T, example string) (rows []encodingRow) {
	t.Helper()
	for _, encoding := range e.encodings {
		r := encodingRow{encoding: encoding}
		for seed := uint64(1); seed <= e.seeds; seed++ {
			got := runEncoded(t, example, encoding, seed, 0)
			r.value, r.up = append(r.value, got.value), append(r.up, float64(got.up))
		}
		rows = append(rows, r)
		first := rows[0]
		rows[len(rows)-1].worse, rows[len(rows)-1].less = mean(r.value)/mean(first.value)-1, mean(r.up)/mean(first.up)
	}
	return rows
}

func listOf(v []float64) string {
	var list []string
	for _, x := range v {
		list = append(list, fmt.Sprintf("%.4g", x))
	}
	return strings.Join(list, ", ")
}
