package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// reportRecords are a genesis, an abandoned attempt and two rounds.
func reportRecords() []record.Record {
	entry := func(member string, v verdict.Reason) record.Entry {
		return record.Entry{Member: member, Verdict: v, Samples: 10}
	}
	late := func(e record.Entry) record.Entry { e.Staleness = 3; return e }
	loss := func(v, best, worst float64) record.Metrics {
		return record.Metrics{"loss": {Value: record.Number(v), Best: record.Number(best), Worst: record.Number(worst), Sites: 2}}
	}
	return []record.Record{
		{Work: "init", Verdict: record.Committed, OpenedMS: 1_700_000_000_000},
		{Round: 1, Attempt: 1, Work: "train", Verdict: record.Abandoned, Reason: "quorum", Entries: record.Entries{entry("a", verdict.Counted), entry("b", verdict.Missing)}, BytesUp: 1500},
		{
			Round: 1, Attempt: 2, Work: "train", Verdict: record.Committed, Entries: record.Entries{entry("a", verdict.Counted), entry("b", verdict.NotFinite)},
			Metrics: loss(2, 1, math.NaN()), OpenedMS: 1_700_000_001_000, ClosedMS: 1_700_000_002_000, CommittedMS: 1_700_000_002_500, BytesDown: 2_000_000,
		},
		{Round: 2, Attempt: 1, Work: "train", Verdict: record.Committed, Entries: record.Entries{entry("a", verdict.Counted), late(entry("b", verdict.Counted))}, Metrics: loss(1, 0.5, 1.5)},
	}
}

func TestReportOf(t *testing.T) {
	t.Parallel()
	got := reportOf(&taskReport{Task: "quality"}, reportSource{run: &taskRun{Records: reportRecords()}})
	sites := []reportSite{
		{Path: "a", Counted: 3, Cohorts: 3, Rows: 10},
		{Path: "b", Counted: 1, Cohorts: 3, Rows: 10, Others: "counted late: 1, 3.0 versions behind on the mean; nothing usable came in time: 1; its numbers were not finite: 1"},
	}
	if diff := cmp.Diff(sites, got.Sites); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]reportCount{{"missing", "nothing usable came in time", 1}, {"not_finite", "its numbers were not finite", 1}}, got.Refusals); diff != "" {
		t.Error(diff)
	}
	if len(got.Attempts) != 3 || got.Attempts[1].Seconds != "1.5" || got.Attempts[1].Value != "2" || got.Attempts[0].Reason != "quorum" {
		t.Errorf("%+v", got.Attempts)
	}
	if want := "2 rounds of training; 1 attempt came to nothing"; got.Works != want {
		t.Errorf("%q, want %q", got.Works, want)
	}
	if got.Up != "1.5 kB" || got.Down != "2.0 MB" || got.Begin != "2023-11-14 22:13:20" {
		t.Errorf("%s up, %s down, from %s", got.Up, got.Down, got.Begin)
	}
	if len(got.Curves) != 1 || got.Curves[0].First != "2" || got.Curves[0].Last != "1" {
		t.Fatalf("%+v", got.Curves)
	}
	// The worst of the first round is no number and has no place in the band.
	for _, want := range []string{`class="line"`, `points="52.0,8.0 552.0,109.3"`, `points="52.0,109.3 552.0,160.0 552.0,58.7"`, `y="113.3" class="end">1.0<`, `class="mid">0<`, `class="mid">1<`} {
		if !strings.Contains(string(got.Curves[0].SVG), want) {
			t.Errorf("no %s in %s", want, got.Curves[0].SVG)
		}
	}
}

// The axis holds the band of sites, each at its place, and says where that is:
// also where one is far off.
func TestReportAxis(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		points []reportPoint
		places map[float64]float64 // value, height
		ticks  string
	}{
		{[]reportPoint{{1, 0.8, 0.9056, 0.5}, {2, 0.8914, 0.9, 0.7}}, map[float64]float64{0.5: 0, 0.9056: 1, 0.8914: (0.8914 - 0.5) / 0.4056}, "0.5 0.7 0.9"},
		{[]reportPoint{{1, 40, 2, 1254}, {2, 4, 1.254, 20}}, map[float64]float64{1.254: 0, 1254: 1, 12.54: 1. / 3, 125.4: 2. / 3}, "10 100 1000"},
		{[]reportPoint{{1, -900, 0.1, -5000}, {2, 0.8, math.NaN(), 0.5}}, map[float64]float64{-5000: 0, 0.8: 1}, "-1 -10 -100 -1000 0"},
		{[]reportPoint{{1, 1e-12, 1e-12, 1e12}, {2, 1, 1, 1}}, map[float64]float64{1e-12: 0, 1: 0.5, 1e12: 1}, "1e-12 1e-07 0.01 1000 1e+08"},
	} {
		a := axisOf(c.points)
		for v, want := range c.places {
			if got := a.height(v); math.Abs(got-want) > 1e-9 {
				t.Errorf("%v: %v stands at %v, want %v", c.points, v, got, want)
			}
		}
		labels := make([]string, 0, len(a.ticks))
		for _, tick := range a.ticks {
			labels = append(labels, tick.Label)
			if h := a.height(tick.Value); h < 0 || h > 1 {
				t.Errorf("%v: the tick %s stands at %v", c.points, tick.Label, h)
			}
		}
		if got := strings.Join(labels, " "); got != c.ticks {
			t.Errorf("%v: ticks %q, want %q", c.points, got, c.ticks)
		}
	}
}

// What a member or a trainer made up is text on the page, whatever it is, and
// the page is well formed.
func TestReportEscapes(t *testing.T) {
	t.Parallel()
	const markup = `</td><script>alert(1)</script>&"'`
	recs := reportRecords()
	for i := range recs {
		recs[i].Reason = markup
		for j := range recs[i].Entries {
			recs[i].Entries[j].Member += markup
		}
		if m, ok := recs[i].Metrics["loss"]; ok {
			recs[i].Metrics = record.Metrics{markup: m}
		}
	}
	if flat := curvesOf(&taskRun{Records: recs[2:3]}, math.NaN(), nil); len(flat) != 0 {
		t.Errorf("a curve of one number: %v", flat)
	}
	task := &taskReport{Task: markup, Owner: markup, Difference: &replay.Difference{Round: 2, Problem: markup}}
	recs[3].Shown, recs[3].Note, recs[3].Strategy.Name, recs[3].Strategy.Weights = markup, markup, markup, markup
	recs[3].Classes, recs[3].Confusion = record.Classes{{}}, record.Matrix{{0}}
	set, err := json.Marshal(map[string]any{markup: markup, "train": map[string]any{markup: markup}})
	if err != nil {
		t.Fatal(err)
	}
	src := reportSource{
		run:      &taskRun{Records: recs, Settings: []runSettings{{Settings: set}}},
		contract: &pipeline.Contract{Inputs: []pipeline.Input{{Name: markup}}, Target: pipeline.Target{Name: markup, Classes: []string{markup}}},
	}
	p := reportPage{Dir: markup, Notes: []string{markup}, Tasks: []reportTask{reportOf(task, src)}}
	var b strings.Builder
	if err := p.render(&b); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	if strings.Contains(html, "<script") || !strings.Contains(html, "&lt;script&gt;") {
		t.Error("markup is not escaped")
	}
	for _, s := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(html, s) {
			t.Errorf("the page loads something: %s", s)
		}
	}
	if !strings.Contains(html, "A difference was found") {
		t.Error("the page does not say that there is a difference")
	}
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Tables are bounded, and say what they leave out.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	var recs []record.Record
	for i := range mostAttempts + 5 {
		recs = append(recs, record.Record{Round: uint64(i), Work: "train", Verdict: record.Committed, Entries: record.Entries{{Member: fmt.Sprintf("m-%d", i), Verdict: verdict.Counted}}})
	}
	got := reportOf(&taskReport{}, reportSource{run: &taskRun{Records: recs}})
	if len(got.Attempts) != mostAttempts || got.Earlier != 5 || got.Attempts[0].Round != 5 || len(got.Sites) != mostSites || got.MoreSites != 5 {
		t.Errorf("%d attempts, %d earlier; %d sites, %d more", len(got.Attempts), got.Earlier, len(got.Sites), got.MoreSites)
	}
}
