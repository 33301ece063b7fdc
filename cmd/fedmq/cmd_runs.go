package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

type runsCmd struct {
	Dir  string `arg:"" help:"Folder of fedmq up."`
	Task string `short:"t" placeholder:"NAME" help:"Only this task."`
	JSON bool   `help:"Print a JSON array."`
}

func (runsCmd) Help() string {
	return `The runs of a folder: those that fedmq up --again has put aside in runs/, and the last one,
each with what is set otherwise than in the run before.

  fedmq runs DIR
  fedmq report DIR/runs/001 DIR     two of them, side by side`
}

// runRow is a line of the table.
type runRow struct {
	Run     string   `json:"run"`
	Dir     string   `json:"dir"` // data directory of its aggregator
	Task    string   `json:"task"`
	Began   string   `json:"began"` // UTC
	Rounds  int      `json:"rounds"`
	Metric  string   `json:"metric,omitempty"`
	Last    *float64 `json:"last,omitempty"`
	Best    *float64 `json:"best,omitempty"`         // of the best version, by the metric that decides
	Version *uint64  `json:"best_version,omitempty"` // which that is
	Changed []string `json:"changed,omitempty"`      // since the run before
}

func (c *runsCmd) Run() error {
	names, dirs, err := runsIn(c.Dir)
	if err != nil {
		return usageError{err}
	}
	rows, before := []runRow{}, map[string]*taskRun{}
	for i, dir := range dirs {
		list, err := readRuns(names[i], dir, c.Task)
		if err != nil {
			return err
		}
		for _, r := range list {
			rows = append(rows, rowOf(r, before[r.Task]))
			before[r.Task] = r
		}
	}
	if len(rows) == 0 && c.Task != "" {
		return usageError{fmt.Errorf("-t %s: no run of %s has this task", c.Task, c.Dir)}
	}
	if c.JSON {
		return indented(stdout).Encode(rows)
	}
	if len(rows) == 0 {
		return fmt.Errorf("%s: no run; fedmq up %s makes one", c.Dir, c.Dir)
	}
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "run\ttask\tbegan (UTC)\trounds\tmetric\tlast\tbest\tversion\tchanged since the run before")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Run, r.Task, r.Began, r.Rounds, orDash(r.Metric), scoreText(r.Last), scoreText(r.Best), versionText(r.Version), orDash(strings.Join(r.Changed, "; ")))
	}
	return tw.Flush()
}

func rowOf(r, before *taskRun) runRow {
	row := runRow{Run: r.Name, Dir: r.Dir, Task: r.Task, Began: utc(r.began()), Rounds: r.rounds(), Metric: r.metric()}
	if last, ok := r.score(row.Metric); ok {
		row.Last = &last
	}
	if b := bestIn(r.Records); b != nil {
		row.Best, row.Version = &b.Value, &b.Version
	}
	if before != nil && len(before.Settings) > 0 && len(r.Settings) > 0 {
		row.Changed = differences(before.settings(), r.settings())
	}
	return row
}

func scoreText(v *float64) string {
	if v == nil {
		return "-"
	}
	return numberText(*v)
}

func versionText(v *uint64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatUint(*v, 10)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
