package main

import (
	_ "embed" // report.html
	"fmt"
	"html/template"
	"math"
	"time"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
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
	Problem    string // the first difference
	Begin, End string
	Up, Down   string
	Works      string // what its records are of
	Box        []reportRow
	Metric     string // that is shown first
	Best       *reportBest
	NoBest     string // why there is none
	Scores     []reportScore
	Beside     *reportBaseline
	Curves     []reportCurve
	Classes    *reportClasses
	Gathered   *reportGathered // of a task of statistics
	Remarks    []reportRemark
	Attempts   []reportAttempt
	Sites      []reportSite
	Refusals   []reportCount
	MoreSites  int // beyond mostSites
	Personal   []reportPersonal
	Earlier    int // attempts before the last mostAttempts
}

// reportSource is what is known of a task.
type reportSource struct {
	run      *taskRun
	contract *pipeline.Contract // nil: not known
	schema   model.Schema       // nil: not known
	fromFile bool               // the settings are the configuration's of today, nobody noted them
	trained  []outcome          // by fedmq baseline
	blob     func(model.Hash) ([]byte, error)

	made map[string]site.PersonalStatus // by member: what it made of the released version for itself
}

// reportCurve is one metric over the rounds.
type reportCurve struct {
	Name, First, Last string
	Lines             []reportLine
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
	Value            string // of the metric that is shown first, of the model before
	Best             bool   // it is the best version's
	Model            string
}

// Rows of the page's tables; what is beyond is counted.
const (
	mostSites    = 1000
	mostAttempts = 1000
)

// reportOf sums up the records of a task.
func reportOf(t *taskReport, src reportSource) reportTask {
	recs := src.run.Records
	out := reportTask{taskReport: t, Works: worksText(recs), Metric: src.run.metric(), Remarks: remarksOf(recs)}
	if t.Difference != nil {
		out.Problem = t.Difference.Error()
	}
	best, ok := src.run.best()
	out.Best, out.NoBest = src.best(best, ok)
	up, down := int64(0), int64(0)
	for i := range recs {
		r := &recs[i]
		up, down = up+r.BytesUp, down+r.BytesDown
		if r.Work != "init" {
			a := attemptOf(r, out.Metric)
			a.Best = ok && r == best.Record && out.Best.Metric == out.Metric
			out.Attempts = append(out.Attempts, a)
		}
	}
	if len(recs) > 0 {
		out.Begin, out.End = utc(recs[0].OpenedMS), utc(recs[len(recs)-1].ClosedMS)
	}
	out.Up, out.Down = byteText(up), byteText(down)
	out.Beside = src.baseline()
	at := math.NaN()
	if ok {
		at = float64(best.Version)
	}
	out.Curves = curvesOf(src.run, at, src.lines(out.Beside))
	out.Scores = src.scores(best, ok, out.Beside)
	out.Classes, out.Personal = src.classes(), src.personal()
	out.Sites, out.Refusals = src.sites()
	out.Box = src.box(out.Sites)
	if n := len(out.Sites) - mostSites; n > 0 {
		out.Sites, out.MoreSites = out.Sites[:mostSites], n
	}
	if n := len(out.Attempts) - mostAttempts; n > 0 {
		out.Attempts, out.Earlier = out.Attempts[n:], n
	}
	return out
}

func attemptOf(r *record.Record, metric string) reportAttempt {
	a := reportAttempt{
		Round: r.Round, Attempt: r.Attempt, Work: r.Work, Verdict: r.Verdict, Counted: r.Counts()[verdict.Counted.String()], Members: len(r.Entries),
		Seconds: secondsText(max(r.CommittedMS, r.ClosedMS) - r.OpenedMS), Reason: r.Reason,
	}
	a.Model = shortHash(r.Model)
	if m, ok := r.Metrics[metric]; ok {
		a.Value = numberText(float64(m.Value))
	}
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

func utc(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05")
}

// shortHash is enough of a content id to tell it from others, "" for none.
func shortHash(h model.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()[:12]
}

func secondsText(ms int64) string {
	if ms < 10_000 {
		return fmt.Sprintf("%.3g", float64(ms)/1000)
	}
	return fmt.Sprintf("%.1f", float64(ms)/1000)
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
