package record

import (
	"fmt"
	"math"
)

// MaxClasses bounds the classes of a record (RC-26).
const MaxClasses = 80

// Measured is what a record says of [Record.Metrics] beyond the numbers (RC-26). All of it
// is absent where nothing was measured, as in records of before there was any.
type Measured struct {
	Shown     string     `json:"shown,omitempty"`     // the metric that is shown first
	Note      string     `json:"note,omitempty"`      // why that one, if it was not asked for; what could not be told
	Guess     Values     `json:"guess,omitzero"`      // what the best constant guess has, by metric
	Bounds    Values     `json:"bounds,omitzero"`     // the most that a metric from histograms may be off
	Classes   Classes    `json:"classes,omitempty"`   // of a classification, ascending
	Confusion Matrix     `json:"confusion,omitempty"` // rows of class i taken for class j; absent where not all sites tell
	Threshold *Threshold `json:"threshold,omitempty"` // of two classes, if the task asks for one
	Left      Names      `json:"left,omitempty"`      // numbers of trainers that are too many for curves; ascending
}

// Class is one class over the rows of all sites.
type Class struct {
	Class     int    `json:"class"`
	Rows      int64  `json:"rows"`      // of it
	Predicted int64  `json:"predicted"` // rows taken for it
	Correct   int64  `json:"correct"`   // of them, rows of it
	AUC       Number `json:"auc"`       // area under the ROC curve against the rest; null without histograms
	AUCError  Number `json:"auc_error"` // the most that it may be off
	AP        Number `json:"ap"`        // average precision, likewise
	APError   Number `json:"ap_error"`
}

// Precision is the share of the rows taken for the class that are of it; 0 for none.
func (c Class) Precision() float64 { return share(c.Correct, c.Predicted) }

// Recall is the share of the class's rows that were found.
func (c Class) Recall() float64 { return share(c.Correct, c.Rows) }

// F1 is the harmonic mean of precision and recall.
func (c Class) F1() float64 { return share(2*c.Correct, c.Rows+c.Predicted) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Threshold is from which probability on a row is taken for a class.
type Threshold struct {
	Class     int    `json:"class"`
	Value     Number `json:"value"`
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
	Sites     int    `json:"sites,omitzero"`  // whose rows it was chosen on
	Scores    Values `json:"scores,omitzero"` // the metrics that hang on which class a row is taken for, with the threshold
}

// Best is the version that did best so far, as the sites have measured it (RC-27).
type Best struct {
	Version uint64  `json:"version"`
	Trained uint64  `json:"trained"` // rounds of training behind it
	Round   uint64  `json:"round"`   // that has measured it
	Metric  string  `json:"metric"`  // that decides
	Value   float64 `json:"value"`   // of the version; with the threshold, if there is one
}

// Gate is what came of holding a version against the released one (RC-29).
type Gate struct {
	Version uint64 `json:"version"`
	Passed  bool   `json:"passed"`
	Why     string `json:"why"`
}

// Canary is what a record says of a version that some nodes ran before all (RC-32).
type Canary struct {
	Version uint64   `json:"version"`
	To      []string `json:"to"`    // filters of their paths
	State   string   `json:"state"` // CanaryRuns, CanaryStopped or CanaryReleased
	Why     string   `json:"why"`
}

// The values of Canary.State.
const (
	CanaryRuns     = "runs"
	CanaryStopped  = "stopped"
	CanaryReleased = "released"
)

const (
	maxCanaries = 17 // that ended in a round, and one that runs
	maxFilters  = 16
	maxFilter   = 200
)

func (r Record) checkCanaries() error {
	if len(r.Canaries) > 0 && r.Verdict != Committed || len(r.Canaries) > maxCanaries {
		return fmt.Errorf("%d canaries of a %s round", len(r.Canaries), r.Verdict)
	}
	for _, c := range r.Canaries {
		switch {
		case c.Version >= r.Round || len(c.To) == 0 || len(c.To) > maxFilters:
			return fmt.Errorf("the canary has version %d, and %d filters", c.Version, len(c.To))
		case c.State != CanaryRuns && c.State != CanaryStopped && c.State != CanaryReleased:
			return fmt.Errorf("the canary's state is %.20q", c.State)
		case !text(c.Why, 1, maxText):
			return fmt.Errorf("the canary's reason is no short text")
		}
		for _, f := range c.To {
			if !text(f, 1, maxFilter) {
				return fmt.Errorf("a canary's filter is no short text")
			}
		}
	}
	return nil
}

// checkRollback reports a rollback that is none.
func (r Record) checkRollback() error {
	switch is := r.Work == WorkRollback && r.Verdict == Committed; {
	case is != (r.Rollback != nil):
		return fmt.Errorf("a %s round of %s, and rollback is there: %v", r.Verdict, r.Work, r.Rollback != nil)
	case is && (*r.Rollback >= r.Round || len(r.Entries) > 0):
		return fmt.Errorf("a rollback to version %d with %d entries", *r.Rollback, len(r.Entries))
	}
	return nil
}

func (g *Gate) check(r Record) error {
	switch {
	case g == nil:
		return nil
	case r.Verdict != Committed || g.Version >= r.Round:
		return fmt.Errorf("the gate has version %d", g.Version)
	case !text(g.Why, 1, maxText):
		return fmt.Errorf("the gate's reason is no short text")
	}
	return nil
}

// Of is what a record says of the metric that decides: with the threshold, where there is
// one and the metric hangs on it, else as it is; and of how many sites that is.
func (r Record) Of(metric string) (value float64, sites int, ok bool) {
	if t := r.Threshold; t != nil {
		if v, ok := t.Scores[metric]; ok {
			return v, t.Sites, true
		}
	}
	m, ok := r.Metrics[metric]
	return float64(m.Value), m.Sites, ok
}

func (b *Best) check(r Record) error {
	switch {
	case b == nil:
		return nil
	case r.Verdict != Committed:
		return fmt.Errorf("an attempt without a model has a best version")
	case !text(b.Metric, 1, maxMetric) || math.IsNaN(b.Value) || math.IsInf(b.Value, 0):
		return fmt.Errorf("the best version has %.64q %v", b.Metric, b.Value)
	case b.Version >= b.Round || b.Round > r.Round || b.Trained > b.Version:
		return fmt.Errorf("version %d after %d rounds of training, measured in round %d, is the best", b.Version, b.Trained, b.Round)
	}
	return nil
}

// Lists that a decoder bounds before it takes memory (RC-3).
type (
	// Classes are those of a record.
	Classes []Class
	// Matrix is square.
	Matrix []Row
	// Row is one of a matrix.
	Row []int64
	// Names are of numbers.
	Names []string
	// Notes are texts for people.
	Notes []string
)

// maxNotes bounds those of a record.
const maxNotes = 16

// UnmarshalJSON reads at most [MaxClasses] classes.
func (c *Classes) UnmarshalJSON(b []byte) (err error) {
	*c, err = list[Class](b, MaxClasses, "classes")
	return err
}

// UnmarshalJSON reads at most [MaxClasses] rows.
func (m *Matrix) UnmarshalJSON(b []byte) (err error) {
	*m, err = list[Row](b, MaxClasses, "rows of the confusion")
	return err
}

// UnmarshalJSON reads at most [MaxClasses] numbers.
func (r *Row) UnmarshalJSON(b []byte) (err error) {
	*r, err = list[int64](b, MaxClasses, "numbers of a row of the confusion")
	return err
}

// UnmarshalJSON reads at most [MaxMetrics] names.
func (n *Names) UnmarshalJSON(b []byte) (err error) {
	*n, err = list[string](b, MaxMetrics, "names left out")
	return err
}

// UnmarshalJSON reads at most 16 notes.
func (n *Notes) UnmarshalJSON(b []byte) (err error) {
	*n, err = list[string](b, maxNotes, "notes")
	return err
}

// check reports notes that are no short texts.
func (n Notes) check() error {
	if len(n) > maxNotes || n != nil && len(n) == 0 {
		return fmt.Errorf("%d notes", len(n))
	}
	for _, note := range n {
		if !text(note, 1, maxText) {
			return fmt.Errorf("the note %.64q is no short text", note)
		}
	}
	return nil
}

// check reports what none can say.
func (m Measured) check() error {
	if !text(m.Shown, 0, maxMetric) || !text(m.Note, 0, maxText) {
		return fmt.Errorf("the metric shown is no short text")
	}
	if name, ok := first(m.Guess, func(name string, _ float64) bool { return !text(name, 1, maxMetric) }); ok {
		return fmt.Errorf("guess of %.64q", name)
	}
	if name, ok := first(m.Bounds, func(name string, v float64) bool { return !text(name, 1, maxMetric) || v < 0 }); ok {
		return fmt.Errorf("bound %v of %.64q", m.Bounds[name], name)
	}
	for i, name := range m.Left {
		if !text(name, 1, maxMetric) || i > 0 && name <= m.Left[i-1] {
			return fmt.Errorf("names left out: %.64q", name)
		}
	}
	for i, c := range m.Classes {
		if i > 0 && c.Class <= m.Classes[i-1].Class || c.Class < 0 || c.Rows < 0 || c.Predicted < 0 || c.Correct < 0 || c.Correct > min(c.Rows, c.Predicted) {
			return fmt.Errorf("class %d of %d rows, %d predicted, %d correct", c.Class, c.Rows, c.Predicted, c.Correct)
		}
	}
	if t := m.Threshold; t != nil && (t.Class < 0 || !(t.Value >= 0 && t.Value <= 1) || math.IsNaN(float64(t.F1)) || t.Sites < 0 || t.Scores != nil && len(t.Scores) == 0) {
		return fmt.Errorf("threshold %v of class %d", t.Value, t.Class)
	}
	return m.Confusion.check(m.Classes)
}

// check holds a matrix against the classes.
func (m Matrix) check(classes Classes) error {
	for i, row := range m {
		if len(row) != len(m) {
			return fmt.Errorf("row %d of the confusion has %d numbers, want %d", i, len(row), len(m))
		}
		for _, v := range row {
			if v < 0 {
				return fmt.Errorf("confusion: %d rows of class %d", v, i)
			}
		}
	}
	for _, c := range classes {
		if m == nil {
			return nil
		}
		if c.Class >= len(m) || m[c.Class][c.Class] != c.Correct {
			return fmt.Errorf("class %d has %d correct rows, the confusion other", c.Class, c.Correct)
		}
	}
	return nil
}
