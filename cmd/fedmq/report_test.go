package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// reportRecords are a genesis, an abandoned attempt and two rounds.
func reportRecords() []record.Record {
	entry := func(member string, v verdict.Reason) record.Entry {
		return record.Entry{Member: member, Verdict: v, Samples: 10}
	}
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
		{Round: 2, Attempt: 1, Work: "train", Verdict: record.Committed, Entries: record.Entries{entry("a", verdict.Counted), entry("b", verdict.Counted)}, Metrics: loss(1, 0.5, 1.5)},
	}
}

func TestReportOf(t *testing.T) {
	t.Parallel()
	got := reportOf(&taskReport{Task: "quality"}, reportRecords())
	members := []reportMember{
		{Path: "a", Counted: 3, Cohorts: 3, Samples: 10},
		{Path: "b", Counted: 1, Cohorts: 3, Samples: 10, Others: "missing 1, not_finite 1"},
	}
	if diff := cmp.Diff(members, got.Members); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]reportCount{{"missing", 1}, {"not_finite", 1}}, got.Refusals); diff != "" {
		t.Error(diff)
	}
	if len(got.Attempts) != 3 || got.Attempts[1].Seconds != "1.5" || got.Attempts[1].Metrics != "loss 2" || got.Attempts[0].Reason != "quorum" {
		t.Errorf("%+v", got.Attempts)
	}
	if got.Up != "1.5 kB" || got.Down != "2.0 MB" || got.Begin != "2023-11-14 22:13:20" {
		t.Errorf("%s up, %s down, from %s", got.Up, got.Down, got.Begin)
	}
	if len(got.Curves) != 1 || got.Curves[0].First != "2" || got.Curves[0].Last != "1" {
		t.Fatalf("%+v", got.Curves)
	}
	// The worst of the first round is no number and has no place in the band.
	for _, want := range []string{`class="line"`, `points="52.0,8.0 552.0,160.0"`, `points="52.0,160.0 552.0,160.0 552.0,84.0"`} {
		if !strings.Contains(string(got.Curves[0].SVG), want) {
			t.Errorf("no %s in %s", want, got.Curves[0].SVG)
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
	if flat := curvesOf(recs[2:3]); len(flat) != 0 {
		t.Errorf("a curve of one number: %v", flat)
	}
	task := &taskReport{Task: markup, Owner: markup, Difference: &replay.Difference{Round: 2, Problem: markup}}
	p := reportPage{Dir: markup, Notes: []string{markup}, Tasks: []reportTask{reportOf(task, recs)}}
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
	got := reportOf(&taskReport{}, recs)
	if len(got.Attempts) != mostAttempts || got.Earlier != 5 || got.Attempts[0].Round != 5 || len(got.Members) != mostMembers || got.MoreMembers != 5 {
		t.Errorf("%d attempts, %d earlier; %d members, %d more", len(got.Attempts), got.Earlier, len(got.Members), got.MoreMembers)
	}
}
