package main

import (
	_ "embed" // report.html
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
)

//go:embed report.html
var reportText string

var reportHTML = template.Must(template.New("report").Parse(reportText))

// reportPage is what the page shows; texts of peers are escaped by the template.
type reportPage struct {
	Dir, Agent string
	OK         bool
	Notes      []string
	Tasks      []reportTask
}

type reportTask struct {
	*taskReport
	Problem     string // the first difference
	Begin, End  string
	Up, Down    string
	Curves      []reportCurve
	Remarks     []reportRemark
	Attempts    []reportAttempt
	Members     []reportMember
	Refusals    []reportCount
	MoreMembers int // beyond mostMembers
	Earlier     int // attempts before the last mostAttempts
}

// reportCurve is one metric over the rounds.
type reportCurve struct {
	Name, First, Last string
	SVG               template.HTML
}

// reportRemark is what numbers do not show, as the last round that has it says.
type reportRemark struct {
	Rounds int
	Text   string
}

type reportAttempt struct {
	Round            uint64
	Attempt          uint32
	Work, Verdict    string
	Counted, Members int
	Seconds, Reason  string
	Metrics          string
	Model            string
}

type reportMember struct {
	Path             string
	Counted, Cohorts int
	Samples          uint64
	Others           string // verdicts that are not counted
}

type reportCount struct {
	Reason string
	N      int
}

// Rows of the page's tables; what is beyond is counted.
const (
	mostMembers  = 1000
	mostAttempts = 1000
)

// reportOf sums up the records of a task.
func reportOf(t *taskReport, recs []record.Record) reportTask {
	out := reportTask{taskReport: t}
	if t.Difference != nil {
		out.Problem = t.Difference.Error()
	}
	up, down := int64(0), int64(0)
	for _, r := range recs {
		up, down = up+r.BytesUp, down+r.BytesDown
		if r.Work != "init" {
			out.Attempts = append(out.Attempts, attemptOf(r))
		}
	}
	if len(recs) > 0 {
		out.Begin, out.End = utc(recs[0].OpenedMS), utc(recs[len(recs)-1].ClosedMS)
	}
	out.Up, out.Down = byteText(up), byteText(down)
	out.Curves = curvesOf(recs)
	out.Remarks = remarksOf(recs)
	out.Members, out.Refusals = membersOf(recs)
	if n := len(out.Members) - mostMembers; n > 0 {
		out.Members, out.MoreMembers = out.Members[:mostMembers], n
	}
	if n := len(out.Attempts) - mostAttempts; n > 0 {
		out.Attempts, out.Earlier = out.Attempts[n:], n
	}
	return out
}

func attemptOf(r record.Record) reportAttempt {
	a := reportAttempt{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Counted: r.Counts()[verdict.Counted.String()], Members: len(r.Entries),
		Seconds: fmt.Sprintf("%.1f", float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS)/1000), Reason: r.Reason,
	}
	if !r.Model.IsZero() {
		a.Model = r.Model.String()[:12]
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		texts = append(texts, name+" "+numberText(float64(r.Metrics[name].Value)))
	}
	a.Metrics = strings.Join(texts, ", ")
	return a
}

func remarksOf(recs []record.Record) (out []reportRemark) {
	at := map[string]int{} // plus 1
	for _, r := range recs {
		for _, x := range r.Remarks() {
			if at[x.Key] == 0 {
				out = append(out, reportRemark{})
				at[x.Key] = len(out)
			}
			m := &out[at[x.Key]-1]
			m.Rounds, m.Text = m.Rounds+1, x.Text
		}
	}
	return out
}

// membersOf says how often each member was asked and counted, and how often
// which refusal or absence was recorded, the most frequent first.
func membersOf(recs []record.Record) (members []reportMember, counts []reportCount) {
	byPath, others, all := map[string]*reportMember{}, map[string]map[string]int{}, map[string]int{}
	for _, r := range recs {
		for _, e := range r.Entries {
			m := byPath[e.Member]
			if m == nil {
				m = &reportMember{Path: e.Member}
				byPath[e.Member], others[e.Member] = m, map[string]int{}
			}
			m.Cohorts++
			m.Samples = max(m.Samples, e.Samples)
			if e.Verdict == verdict.Counted {
				m.Counted++
				continue
			}
			others[e.Member][e.Verdict.String()]++
			all[e.Verdict.String()]++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		m := byPath[path]
		var texts []string
		for _, reason := range slices.Sorted(maps.Keys(others[path])) {
			texts = append(texts, fmt.Sprintf("%s %d", reason, others[path][reason]))
		}
		m.Others = strings.Join(texts, ", ")
		members = append(members, *m)
	}
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		counts = append(counts, reportCount{reason, all[reason]})
	}
	slices.SortStableFunc(counts, func(a, b reportCount) int { return b.N - a.N })
	return members, counts
}

func utc(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05")
}

// byteText is a size in the unit that suits it.
func byteText(n int64) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

func numberText(v float64) string {
	if math.IsNaN(v) {
		return "undefined"
	}
	return fmt.Sprintf("%.4g", v)
}
