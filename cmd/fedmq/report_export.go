package main

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
)

// exportColumns are those of --csv: a line for each metric of each record, and one
// for a record without.
var exportColumns = []string{
	"run", "task", "version", "attempt", "trained", "work", "verdict", "opened_ms", "seconds", "counted", "members", "model",
	"metric", "value", "best", "best_site", "worst", "worst_site", "sites", "rows", "best_version",
}

// exportRound is a record as --csv and --json have it.
type exportRound struct {
	Version  uint64         `json:"version"`
	Attempt  uint32         `json:"attempt"`
	Trained  int            `json:"trained"` // rounds of training behind the model that the metrics are of
	Work     string         `json:"work"`
	Verdict  string         `json:"verdict"`
	OpenedMS int64          `json:"opened_ms"`
	Seconds  float64        `json:"seconds"`
	Counted  int            `json:"counted"`
	Members  int            `json:"members"`
	Model    string         `json:"model,omitempty"` // after the round
	Metrics  record.Metrics `json:"metrics"`
	Best     bool           `json:"best_version,omitempty"` // the metrics are of the version that did best
}

// exportRun is a run as --json has it.
type exportRun struct {
	Run      string        `json:"run"`
	Dir      string        `json:"dir"`
	Task     string        `json:"task"`
	Settings []runSettings `json:"settings"` // oldest first
	Rounds   []exportRound `json:"rounds"`
}

// exported are the rounds of a run, the genesis left out.
func (r *taskRun) exported() (list []exportRound) {
	trained, best := 0, bestIn(r.Records)
	for _, rec := range r.Records {
		if rec.Round == 0 {
			continue
		}
		e := exportRound{
			Version: rec.Round, Attempt: rec.Attempt, Trained: trained, Work: rec.Work, Verdict: rec.Verdict, OpenedMS: rec.OpenedMS,
			Seconds: float64(max(rec.CommittedMS, rec.ClosedMS)-rec.OpenedMS) / 1000,
			Counted: rec.Counts()[verdict.Counted.String()], Members: len(rec.Entries), Metrics: rec.Metrics,
			Best: best != nil && rec.Round == best.Round && rec.Verdict == record.Committed,
		}
		if !rec.Model.IsZero() {
			e.Model = rec.Model.String()
		}
		if rec.Trained() {
			trained++
		}
		list = append(list, e)
	}
	return list
}

func exportJSON(w io.Writer, runs []*taskRun) error {
	all := make([]exportRun, 0, len(runs))
	for _, r := range runs {
		all = append(all, exportRun{r.Name, r.Dir, r.Task, r.Settings, r.exported()})
	}
	return indented(w).Encode(all)
}

func exportCSV(w io.Writer, runs []*taskRun) error {
	out := csv.NewWriter(w)
	if err := out.Write(exportColumns); err != nil {
		return err
	}
	for _, r := range runs {
		for _, e := range r.exported() {
			line := []string{
				r.Name, r.Task, strconv.FormatUint(e.Version, 10), strconv.FormatUint(uint64(e.Attempt), 10), strconv.Itoa(e.Trained), e.Work, e.Verdict, strconv.FormatInt(e.OpenedMS, 10),
				exactText(e.Seconds), strconv.Itoa(e.Counted), strconv.Itoa(e.Members), e.Model,
			}
			if len(e.Metrics) == 0 {
				if err := out.Write(append(line, "", "", "", "", "", "", "", "", "")); err != nil {
					return err
				}
			}
			for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
				m := e.Metrics[name]
				if err := out.Write(append(line[:len(line):len(line)], name, exactText(float64(m.Value)), exactText(float64(m.Best)), m.BestSite,
					exactText(float64(m.Worst)), m.WorstSite, strconv.Itoa(m.Sites), exactText(float64(m.Rows)), strconv.FormatBool(e.Best))); err != nil {
					return err
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

// exactText is a number with all its digits, "" for none.
func exactText(v float64) string {
	if !finite(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
