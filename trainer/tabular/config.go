package tabular

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// Config says which rows of which file a site trains on and how they become
// numbers. The order of its keys does not matter; the order of the features
// does, and has to be the same at every site of a task.
type Config struct {
	// Train is the CSV file (plain or gzip, by content) with a header line, or Parquet
	// file, or a pattern such as "2026-*.csv" for several, which are read in the order of their
	// names.
	Train string `yaml:"train"`
	// Test is a file, or a pattern, with the rows to evaluate on. Without Test and
	// Split a site trains only.
	Test string `yaml:"test"`
	// Separator, Decimal and Encoding say how the files are written: ";" or "tab",
	// "," and a name such as "windows-1252". What is empty is found in each file.
	Separator string `yaml:"separator"`
	Decimal   string `yaml:"decimal"`
	Encoding  string `yaml:"encoding"`
	// Comment is the character that lines begin with that are passed over.
	Comment string `yaml:"comment"`
	// Missing are texts that stand for a missing value, beside the usual ones.
	Missing []string `yaml:"missing"`
	// Split takes training and test rows from one file, instead of Test.
	Split *Split `yaml:"split"`
	// Reload says when files that have changed are read again: task (default),
	// when a task begins; round, also before each round.
	Reload string `yaml:"reload"`
	// Where keeps the rows whose columns have one of the values given: a
	// value, a list of values, or a range of whole numbers "1..20". A value
	// matches letter by letter ("1.0" is not "1"), a range by number, exactly.
	Where map[string]any `yaml:"where"`
	// TestWhere replaces Where for the file Test; {} keeps all its rows.
	TestWhere map[string]any `yaml:"test_where"`
	// Columns says what the files call a feature, target or other column, and their
	// unit: by the name that the model has, that of the file, or {column, unit, to}.
	Columns map[string]any `yaml:"columns"`
	// Derive turns time series into rows: statistics of sliding windows.
	Derive *Derive `yaml:"derive"`
	// Target is what the model learns to predict.
	Target Target `yaml:"target"`
	// Features are the model's inputs. Without any they are those of the task's contract, as are
	// target, window and zclip that are not said (see Of).
	Features []Feature `yaml:"features"`
	// ZClip limits scaled features to ±ZClip standard deviations; 0 (default)
	// leaves them.
	ZClip float64 `yaml:"zclip"`
	// Together are columns that together name what rows belong to, such as one
	// recording: [Data.Fold] keeps such rows in one fold. With Derive its units are.
	Together []string `yaml:"-"`

	task *pipeline.Contract // that features and target are taken from; nil: they are its own
}

// Split names the column that tells training rows from test rows, or the share of
// the rows that are test rows.
type Split struct {
	// Column has one of two values. Rows with neither are left out.
	Column string `yaml:"column"`
	Train  any    `yaml:"train"` // value, list or range; default "train"
	Test   any    `yaml:"test"`  // default "test"
	// Share of the rows are test rows, chosen by a hash of what is in them: rows that
	// are equal stay together, as do those of a unit of Derive.
	Share float64 `yaml:"share"`
}

// Derive computes statistics over the last Window rows at every Stride-th row
// of each unit, beginning with its first full window.
type Derive struct {
	// Group are the columns that together name a unit, say a machine's run.
	Group []string `yaml:"group"`
	// Order is the column that puts the rows of a unit in order; without it
	// they are taken as they come.
	Order  string `yaml:"order"`
	Window int    `yaml:"window"` // rows, 1..100000
	Stride int    `yaml:"stride"` // rows, default 1
	// Stats are, for all columns each: mean; mean<k>, of the window's last k
	// rows; slope, the least-squares slope times the rows of the window. Only
	// observed values count.
	Stats []string `yaml:"stats"`
	// Test says which windows of a test unit count: last (default), which for
	// a unit shorter than a window takes the rows there are, or all.
	Test string `yaml:"test"`
}

// Target is a column, or the rows a unit has left.
type Target struct {
	Column string `yaml:"column"`
	// Classes makes this a classification. Output i of the model belongs to
	// Classes[i]; a row with another value is an error.
	Classes []any `yaml:"classes"`
	// Offset and Scale (0 counts as 1) bring a regression target into the
	// range of the model: it learns (y − Offset) / Scale. Errors are reported
	// in the unit of y.
	Offset float64 `yaml:"offset"`
	Scale  float64 `yaml:"scale"`
	// RowsLeft needs Derive: the model learns how many rows follow.
	RowsLeft *RowsLeft `yaml:"rows_left"`

	none bool // the task has none
}

// RowsLeft is the remaining life of a unit in rows. The model learns
// min(rows, Cap) / Cap; predictions are limited to 0..Cap, and errors reported
// in rows.
type RowsLeft struct {
	Cap float64 `yaml:"cap"`
	// Truth is a CSV file with the columns of Group and one more: the rows
	// that would follow the last test row of a unit. Without it test units
	// are complete.
	Truth string `yaml:"truth"`
}

// Feature is a set of columns that are treated alike. A value is clipped
// first, then one of the two logarithms taken.
type Feature struct {
	Columns []string `yaml:"columns"`
	Clip    float64  `yaml:"clip"` // to ±Clip; 0 (default) leaves the value
	// SLog s > 0 takes sign(v)·log10(1 + |v|/s), for values of many magnitudes.
	SLog  float64 `yaml:"slog"`
	Log1p bool    `yaml:"log1p"` // ln(1 + v)
	// MissingFlag adds, after each column, a feature that is 1 where the value
	// is missing and 0 elsewhere. Not with Derive.
	MissingFlag bool `yaml:"missing_flag"`
	// Categories are the texts of columns that have no numbers: a list. Each becomes a
	// feature, 1 where the row has it; another text is missing.
	Categories any `yaml:"categories"`
}

// Values of Config.Reload.
const (
	reloadTask  = "task"
	reloadRound = "round"
)

// MaxClasses bounds a classification: its metrics have to fit an update.
const MaxClasses = trainer.MaxClasses

const maxWindow = 100_000

// KeyError is a bad value in a Config. Key is its path, such as
// "features[1].slog".
type KeyError struct{ Key, Problem string }

func (e *KeyError) Error() string { return e.Key + ": " + e.Problem }

func bad(key, format string, args ...any) error {
	return &KeyError{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// Validate returns a *KeyError for the first value that cannot be used. It
// opens no file.
func (c *Config) Validate() error {
	if err := c.validateRows(); err != nil {
		return err
	}
	if err := c.Derive.validate(); err != nil {
		return err
	}
	if err := c.Target.validate(c.Derive != nil); err != nil {
		return err
	}
	if err := c.validateFeatures(); err != nil {
		return err
	}
	_, err := c.columns()
	return err
}

// validateRows looks at what says which rows there are.
func (c *Config) validateRows() error {
	switch {
	case c.Train == "":
		return bad("train", "want the name of a CSV file")
	case c.Test != "" && c.Split != nil:
		return bad("split", "give either test, a file, or split, a column of train")
	case c.TestWhere != nil && c.Test == "":
		return bad("test_where", "selects rows of the file test, which is not given")
	case c.Derive != nil && c.Derive.Test != "" && !c.tests():
		return bad("derive.test", "has no effect without test rows: give test or split")
	case c.Target.RowsLeft != nil && c.Target.RowsLeft.Truth != "" && !c.tests():
		return bad("target.rows_left.truth", "has no effect without test rows: give test or split")
	case c.Reload != "" && c.Reload != reloadTask && c.Reload != reloadRound:
		return bad("reload", "want task or round, not %q", c.Reload)
	case !(c.ZClip >= 0) || math.IsInf(c.ZClip, 0):
		return bad("zclip", "want a number of standard deviations, 0 for no limit, not %v", c.ZClip)
	}
	if err := c.Split.validate(); err != nil {
		return err
	}
	if err := c.validateFormat(); err != nil {
		return err
	}
	_, err := c.selections()
	return err
}

func (c *Config) validateFeatures() error {
	if len(c.Features) == 0 {
		return bad("features", "want at least one, as in [{columns: [temperature, pressure]}]")
	}
	type input struct {
		column     string
		clip, slog float64
		log1p      bool
	}
	there, texts := map[input]bool{}, map[string]bool{}
	for i, f := range c.Features {
		key := "features[" + strconv.Itoa(i) + "]"
		if err := f.validate(key, c.Derive != nil); err != nil {
			return err
		}
		for _, column := range f.Columns {
			in := input{column, f.Clip, f.SLog, f.Log1p}
			switch {
			case column == c.Target.Column && c.Derive == nil:
				return bad(key, "%s is the target: a model would read what it is to predict", column)
			case there[in]:
				return bad(key, "%s is there twice, treated alike", column)
			}
			if text, twice := texts[column]; twice && (text || f.Categories != nil) {
				return bad(key+".categories", "%s is there as texts and otherwise", column)
			}
			there[in], texts[column] = true, f.Categories != nil
		}
	}
	return nil
}

func (s *Split) validate() error {
	switch {
	case s == nil:
		return nil
	case s.Column == "" && s.Share == 0:
		return bad("split", "want column, the name of one, or share, such as 0.2")
	case s.Share == 0:
		return nil
	case s.Column != "" || s.Train != nil || s.Test != nil:
		return bad("split.share", "stands alone, without column, train and test")
	case !(s.Share > 0 && s.Share < 1):
		return bad("split.share", "want more than 0 and less than 1, not %v", s.Share)
	}
	return nil
}

// tests reports whether there are rows to evaluate on.
func (c *Config) tests() bool { return c.Test != "" || c.Split != nil }

func (d *Derive) validate() error {
	switch {
	case d == nil:
		return nil
	case len(d.Group) == 0 || slices.Contains(d.Group, ""):
		return bad("derive.group", "want the columns that name a unit")
	case len(slices.Compact(slices.Sorted(slices.Values(d.Group)))) != len(d.Group):
		return bad("derive.group", "some column is there twice")
	case d.Window < 1 || d.Window > maxWindow:
		return bad("derive.window", "want 1 to %d rows, not %d", maxWindow, d.Window)
	case d.Stride < 0 || d.Stride > maxWindow:
		return bad("derive.stride", "want 1 to %d rows, not %d", maxWindow, d.Stride)
	case len(d.Stats) == 0:
		return bad("derive.stats", "want some of mean, mean<k>, slope")
	case d.Test != "" && d.Test != "last" && d.Test != "all":
		return bad("derive.test", "want last or all, not %q", d.Test)
	}
	for i, name := range d.Stats {
		if err := pipeline.CheckStat(name, d.Window); err != nil {
			return bad("derive.stats["+strconv.Itoa(i)+"]", "%v", err)
		}
	}
	return nil
}

func (t *Target) validate(derived bool) error {
	switch {
	case t.none && (t.Classes != nil || t.Scale != 0 || t.Offset != 0):
		return bad("target", "the task gathers statistics and has none: leave it out")
	case t.none:
		return nil
	case t.RowsLeft == nil && t.Column == "":
		return bad("target", "want a column, or rows_left with derive")
	case t.RowsLeft != nil && (t.Column != "" || t.Classes != nil || t.Scale != 0 || t.Offset != 0):
		return bad("target.rows_left", "stands alone, without column, classes, offset and scale")
	case t.RowsLeft != nil && !derived:
		return bad("target.rows_left", "needs derive, which says what a unit is")
	case t.RowsLeft != nil && !(t.RowsLeft.Cap > 0 && t.RowsLeft.Cap <= 1e9):
		return bad("target.rows_left.cap", "want a number of rows up to 1e9, not %v", t.RowsLeft.Cap)
	case t.Classes != nil && (len(t.Classes) < 2 || len(t.Classes) > MaxClasses):
		return bad("target.classes", "want 2 to %d, not %d", MaxClasses, len(t.Classes))
	case t.Classes != nil && (t.Scale != 0 || t.Offset != 0):
		return bad("target.scale", "is for regression, classes have none")
	case !(t.Scale >= 0) || math.IsInf(t.Scale, 0):
		return bad("target.scale", "want a positive number, not %v", t.Scale)
	case math.IsNaN(t.Offset) || math.IsInf(t.Offset, 0):
		return bad("target.offset", "want a number, not %v", t.Offset)
	}
	_, err := classIndex(t.Classes)
	return err
}

func (f *Feature) validate(key string, derived bool) error {
	if texts, err := f.categories(key + ".categories"); err != nil {
		return err
	} else if texts != nil && (f.Clip != 0 || f.SLog != 0 || f.Log1p) {
		return bad(key+".categories", "texts have no clip, slog and log1p")
	}
	switch {
	case len(f.Columns) == 0:
		return bad(key+".columns", "want at least one column")
	case !(f.Clip >= 0) || math.IsInf(f.Clip, 0):
		return bad(key+".clip", "want a positive number, 0 for no limit, not %v", f.Clip)
	case !(f.SLog >= 0) || math.IsInf(f.SLog, 0):
		return bad(key+".slog", "want a positive number, not %v", f.SLog)
	case f.SLog > 0 && f.Log1p:
		return bad(key+".log1p", "not together with slog")
	case f.MissingFlag && derived:
		return bad(key+".missing_flag", "not together with derive")
	}
	for i, name := range f.Columns {
		if strings.TrimSpace(name) == "" {
			return bad(fmt.Sprintf("%s.columns[%d]", key, i), "want the name of a column")
		}
		if j := slices.Index(f.Columns, name); j < i {
			return bad(fmt.Sprintf("%s.columns[%d]", key, i), "%q is there twice", name)
		}
	}
	return nil
}
