package view

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// StatisticsSchema is that of Statistics.
const StatisticsSchema = "fedmq.statistics.v1"

// Statistics is what a task of statistics has gathered in its newest round.
type Statistics struct {
	Schema      string    `json:"schema"`
	TimestampMS int64     `json:"timestamp_ms"`
	Task        string    `json:"task"`
	Version     uint64    `json:"version"` // the round that gathered it
	Levels      []float64 `json:"levels"`  // of the quantiles
	Columns     []Column  `json:"columns"` // in the order of the configuration
	LeftOut     LeftOut   `json:"left_out"`
}

// LeftOut is what there was no room for: the model of the task has all of it.
type LeftOut struct {
	Columns    int `json:"columns"`    // the last ones
	Histograms int `json:"histograms"` // of columns that are there
}

// Column is one of them, over the rows of all sites that have told of it.
type Column struct {
	Name       string     `json:"name"`
	Unit       string     `json:"unit,omitempty"`
	Sites      int        `json:"sites"`   // that have told of it
	Count      float64    `json:"count"`   // rows with a value
	Missing    float64    `json:"missing"` // rows without one, of these sites
	Mean       *float64   `json:"mean,omitempty"`
	Variance   *float64   `json:"variance,omitempty"` // of the sample: M2 / (n - 1)
	Min        *float64   `json:"min,omitempty"`      // of the sites that tell it, where the task asks for it
	Max        *float64   `json:"max,omitempty"`
	Quantiles  []Quantile `json:"quantiles,omitempty"`   // in the order of levels
	Drift      *float64   `json:"drift,omitempty"`       // PSI against the first round with a histogram; as worst left out where the histogram has too few of the rows to tell
	Worst      *float64   `json:"worst,omitempty"`       // the greatest PSI of one site against all of them
	WorstSite  string     `json:"worst_site,omitempty"`  // whose that is
	Without    Without    `json:"without,omitempty"`     // why there is no histogram, and nothing that is made of it; with few_sites no mean either
	Hidden     float64    `json:"hidden,omitempty"`      // bins that sites had too few rows in to tell (min_count)
	HiddenRows float64    `json:"hidden_rows,omitempty"` // rows in these, together: they may lie anywhere
	Histogram  *Histogram `json:"histogram,omitempty"`
}

// Without is why there is no histogram.
type Without string

// The reasons.
const (
	WithoutSites Without = "few_sites" // fewer than three have told of it (allow_few)
	WithoutRange Without = "range"     // the round has found where it begins and ends: the next one counts
	WithoutRows  Without = "rows"      // no site has told of it, or of a bin: they have too few rows (min_count)
)

// Histogram is the rows by value, in bins of one width.
type Histogram struct {
	Lo     float64   `json:"lo"`
	Hi     float64   `json:"hi"`
	Under  float64   `json:"under"`
	Counts []float64 `json:"counts"`
	Over   float64   `json:"over"`
}

// Columns reads a survey's model. Names and units are those of its features; site names a
// member by its index.
func Columns(m *model.Model, names, units []string, site func(uint32) string) (levels []float64, columns []Column, err error) {
	v, ok := model.SurveyOf(m.Schema)
	if !ok || v.Features != len(names) || len(units) != len(names) {
		return nil, nil, fmt.Errorf("%w: no survey of %d columns", model.ErrSchema, len(names))
	}
	t := map[string][]float64{}
	for _, spec := range m.Schema {
		if t[spec.Name], err = m.Float64s(spec.Name); err != nil {
			return nil, nil, err
		}
	}
	for f, name := range names {
		c := Column{
			Name: name, Unit: units[f], Sites: int(t[model.SurveySites][f]), Count: t[model.StatNName][f], Missing: t[model.SurveyMissing][f], Hidden: t[model.SurveyHidden][f],
		}
		c.moments(f, v, t)
		c.histogram(f, v, t, site)
		columns = append(columns, c)
	}
	return t[model.SurveyLevels], columns, nil
}

func (c *Column) moments(f int, v model.Survey, t map[string][]float64) {
	if c.Count == 0 || c.Sites < int(t[model.SurveyLeast][0]) {
		return
	}
	c.Mean = new(t[model.StatMeanName][f])
	if c.Count > 1 {
		c.Variance = new(t[model.StatM2Name][f] / (c.Count - 1))
	}
	if v.Extremes && t[model.SurveyMin][f] <= t[model.SurveyMax][f] {
		c.Min, c.Max = new(t[model.SurveyMin][f]), new(t[model.SurveyMax][f])
	}
}

func (c *Column) histogram(f int, v model.Survey, t map[string][]float64, site func(uint32) string) {
	row, total := t[model.SurveyCounts][f*(2+v.Bins):(f+1)*(2+v.Bins)], 0.0
	for _, n := range row {
		total += n
	}
	switch {
	case total > 0:
	case c.Count == 0:
		c.Without = WithoutRows
		return
	case c.Sites < int(t[model.SurveyLeast][0]):
		c.Without = WithoutSites
		return
	case c.Hidden == 0:
		c.Without = WithoutRange
		return
	default:
		c.Without = WithoutRows
		return
	}
	c.Histogram = &Histogram{Lo: t[model.SurveyLo][f], Hi: t[model.SurveyHi][f], Under: row[0], Counts: row[1 : 1+v.Bins], Over: row[1+v.Bins]}
	c.HiddenRows = max(0, c.Count-total)
	for i, p := range t[model.SurveyLevels] {
		c.Quantiles = append(c.Quantiles, c.quantile(p, t[model.SurveyQuantiles][f*v.Quantiles+i]))
	}
	if !c.Compared() {
		return
	}
	if psi := t[model.SurveyDrift][f]; psi >= 0 {
		c.Drift = new(psi)
	}
	if psi := t[model.SurveyWorst][f]; psi >= 0 {
		c.Worst, c.WorstSite = new(psi), site(uint32(t[model.SurveyWorstSite][f]))
	}
}

// Compared reports that the histogram has enough of the values inside to be held against
// another.
func (c Column) Compared() bool {
	h := c.Histogram
	return h != nil && c.HiddenRows <= maxHidden*c.Count && h.Under+h.Over <= maxOutside*c.Count
}

// SD is the standard deviation, NaN where it is not known.
func (c Column) SD() float64 {
	if c.Variance == nil {
		return math.NaN()
	}
	return math.Sqrt(*c.Variance)
}

// Within returns it without what takes it beyond so many bytes as JSON: first the
// histograms of the last columns, then these columns.
func (s Statistics) Within(bytes int) Statistics {
	all := s.Columns
	s.Columns, s.LeftOut = []Column{}, LeftOut{Columns: len(all)}
	room := bytes - len(JSON(s)) - 16
	var sizes []int
	for _, c := range all {
		c.Histogram = nil
		size := len(JSON(c)) + 1
		if room -= size; room < 0 {
			break
		}
		s.Columns, sizes = append(s.Columns, c), append(sizes, size)
	}
	s.LeftOut.Columns -= len(s.Columns)
	for i := range s.Columns {
		if all[i].Histogram == nil {
			continue
		}
		if more := len(JSON(all[i])) + 1 - sizes[i]; s.LeftOut.Columns == 0 && more <= room {
			room -= more
			s.Columns[i].Histogram = all[i].Histogram
		} else {
			s.LeftOut.Histograms++
		}
	}
	return s
}
