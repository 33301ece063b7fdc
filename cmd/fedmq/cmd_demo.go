package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/fedmq/fedmq/examples/gasturbine"
	"github.com/fedmq/fedmq/examples/tep"
	"github.com/fedmq/fedmq/examples/turbofan"
	"github.com/fedmq/fedmq/examples/wells"
	"github.com/fedmq/fedmq/record"
)

type demoCmd struct {
	Example   string `default:"turbofan" enum:"turbofan,wells,tep,gasturbine" help:"turbofan (simulated by NASA), wells (real), tep (simulated; with a server optimiser) or gasturbine (real; with a model for each site)."`
	Dir       string `default:"fedmq-demo" help:"Directory for configurations, data, records, models and the picture; an earlier demo in it is replaced, but for broker.yaml, the limits of the broker."`
	Listen    string `default:"127.0.0.1:1883" help:"Address of the embedded broker; if it is taken, a free port."`
	Seed      uint64 `default:"1" help:"Seed of initial model and training: the same seed gives the same model on the same kind of processor."`
	Slow      bool   `help:"Take two seconds longer for a round, to watch it."`
	Processes bool   `help:"Run aggregator and sites as processes of their own."`
	JSON      bool   `help:"Print one JSON object at the end; the table goes to standard error."`

	broker brokerFile // its limits, of the folder
}

func (demoCmd) Help() string {
	return `Ten sites (gasturbine: five), each with its own data, an aggregator and an MQTT broker, all real MQTT
clients. Afterwards the same model is trained on each site alone and on all data in one
place, by the same code, so that the gain of federation can be seen.

While it runs, watch it with any MQTT client; the exact command is printed.`
}

// example is what a demo needs of an example package.
type example struct {
	name   string
	real   bool // the data, not the federation
	files  fs.FS
	sites  []map[string]string
	metric string // the one that is shown
	unit   string
	story  string
	notes  []string // caveats, printed with the numbers
}

// lower reports whether less of the metric is better.
func (e example) lower() bool { return lowerIsBetter(e.metric) }

func examples(name string) example {
	switch name {
	case "gasturbine":
		return example{
			name: name, real: true, files: gasturbine.Files, sites: gasturbine.Sites(), metric: "rmse", unit: "mg/m3",
			story: "five years of a gas turbine (real) learn to tell its NOx; each then trains the federation's model for itself",
			notes: []string{
				"On its own rows a year is better off alone than with the plain average: the turbine drifts. The average, trained a little more at home, is better than both.",
				"That the five years are five sites is ours; they are one turbine.",
				"These are demonstration numbers, not benchmark results: settings were picked by hand, with the test set in view.",
			},
		}
	case "tep":
		return example{
			name: name, files: tep.Files, sites: tep.Sites(), metric: "accuracy",
			story: "ten chemical plants (simulated: Tennessee Eastman) tell 18 states apart of which each has met four",
			notes: []string{
				"The plant is simulated (Downs and Vogel); that faults are dealt to ten plants is ours.",
				"These are demonstration numbers, not benchmark results: the tasks were chosen with the test set in view.",
			},
		}
	case "wells":
		return example{
			name: name, real: true, files: wells.Files, sites: wells.Sites(), metric: "accuracy",
			story: "ten offshore oil wells (real: Petrobras 3W) tell events apart of which each has met one or two",
			notes: []string{
				"These are demonstration numbers, not benchmark results: the tasks were chosen with the test set in view.",
				"Sites S09 and S10 are nearly all event, so part of the score is recognising the well.",
				"The model does not transfer to a well that took no part; claim one model for these ten.",
				"Classes 1 and 6 are recognised by nobody.",
			},
		}
	}
	return example{
		name: name, files: turbofan.Files, sites: turbofan.Sites(), metric: "rmse", unit: "cycles",
		story: "ten fleets of turbofan engines (simulated: NASA C-MAPSS) learn how many flights an engine has left; five have never seen a fan failure",
		notes: []string{
			"The engines are simulated by NASA's C-MAPSS; the cut into ten fleets is ours.",
			"These are demonstration numbers, not benchmark results: the tasks were chosen with the test set in view.",
		},
	}
}

// demoMarker is the file that says that a directory is a demo's.
const demoMarker = "demo.json"

func (c *demoCmd) Run(ctx context.Context, logs *logFlags) error {
	started := time.Now()
	ex := examples(c.Example)
	if err := c.prepare(); err != nil {
		return err
	}
	talk := io.Writer(stdout)
	if c.JSON {
		talk = os.Stderr
	}
	d := &demo{demoCmd: *c, ex: ex, logs: logs, talk: talk, task: "", terminal: terminal(talk)}
	if logs.Level == "info" { // the table is the progress
		d.logs = &logFlags{Level: "warn", JSON: logs.JSON}
	}
	res, err := d.run(ctx)
	if err != nil {
		return err
	}
	res.Seconds = time.Since(started).Seconds()
	out, err := json.Marshal(res)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, demoMarker), append(out, '\n'), 0o600); err != nil {
		return err
	}
	if c.JSON {
		fmt.Fprintln(stdout, string(out))
	}
	return nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// prepare makes a directory with nothing in it but the broker's configuration,
// replacing an earlier demo but nothing else.
func (c *demoCmd) prepare() error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	others := slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == brokerName })
	if len(others) > 0 && absent(filepath.Join(c.Dir, demoMarker)) {
		return usageError{fmt.Errorf("%s is not empty and holds no earlier demo; want another --dir", c.Dir)}
	}
	for _, e := range others {
		if err := os.RemoveAll(filepath.Join(c.Dir, e.Name())); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if c.broker, err = folderLimits(c.Dir); err != nil {
		return usageError{err}
	}
	return os.WriteFile(filepath.Join(c.Dir, demoMarker), []byte("{}\n"), 0o600)
}

// result is the demo's JSON object.
type result struct {
	Example     string   `json:"example"`
	Simulated   bool     `json:"simulated"` // the data, not the federation
	Rounds      int      `json:"rounds"`    // of training
	Committed   int      `json:"committed"` // all rounds with a record, but the first
	Sites       int      `json:"sites"`
	Metric      string   `json:"metric"`
	Federated   float64  `json:"federated"`
	Isolated    isolated `json:"isolated"`
	Centralised float64  `json:"centralised"`
	Parameters  int      `json:"parameters"`
	ModelID     string   `json:"model_id"`
	BytesUp     int64    `json:"bytes_up"`   // payloads from all sites
	BytesDown   int64    `json:"bytes_down"` // payloads of models and orders, to all sites
	Seconds     float64  `json:"seconds"`
	FedSeconds  float64  `json:"federation_seconds"` // first order to last record
	Dir         string   `json:"dir"`

	Home *homeResult `json:"home,omitempty"` // where sites train for themselves
}

// isolated is how sites do that train alone, each judged on everybody's test
// rows.
type isolated struct {
	Mean  float64 `json:"mean"`
	Best  float64 `json:"best"`
	Worst float64 `json:"worst"`
}

// curvePoint is one round of the picture: the model that round's sites judged.
type curvePoint struct {
	trained          float64 // rounds of training behind the model
	value, best, bad float64
}

// summarise fills in what the records say.
func (r *result) summarise(ex example, recs []record.Record) []curvePoint {
	var curve []curvePoint
	trained, first, last := 0, int64(0), int64(0)
	for _, rec := range recs {
		if rec.Verdict != record.Committed || rec.Round == 0 {
			continue
		}
		r.Committed++
		r.BytesUp += rec.BytesUp
		r.BytesDown += rec.BytesDown * int64(len(rec.Entries))
		r.Sites = max(r.Sites, len(rec.Entries))
		if first == 0 {
			first = rec.OpenedMS
		}
		last = rec.CommittedMS
		if m, ok := rec.Metrics[ex.metric]; ok {
			curve = append(curve, curvePoint{float64(trained), float64(m.Value), float64(m.Best), float64(m.Worst)})
			r.Federated = float64(m.Value)
		}
		if rec.Work == "train" {
			trained++
		}
		r.ModelID = rec.Model.String()
	}
	r.Rounds = trained
	r.FedSeconds = float64(last-first) / 1000
	return curve
}

// siteName is a site's short name in tables.
func siteName(vars map[string]string) string {
	return strings.ReplaceAll(vars["MEMBER"], "/", "-")
}
