package view

// Quantile is what is known of one: its value, or what bounds it where that is not known to
// a bin or two. Rows that no site has told the bin of may lie anywhere.
type Quantile struct {
	Value *float64 `json:"value,omitempty"` // off by a bin at most, by two where rows are hidden
	From  *float64 `json:"from,omitempty"`  // without a value: it is no less, and
	To    *float64 `json:"to,omitempty"`    // no more than this; left out where nothing bounds it
}

// What makes an index of histograms noise, as shares of the values: PSI takes an empty bin
// for a difference, and values outside all look the same.
const (
	maxHidden  = .05
	maxOutside = .5
)

// quantile bounds the one of level p. Of all values, hidden ones too, p lie below it: it
// is in the bin that reaches p of them if all hidden ones are below that bin, or above it,
// or between. made is what the counts alone make of it.
func (c *Column) quantile(p, made float64) (q Quantile) {
	h := c.Histogram
	rows, bins := make([]float64, 0, len(h.Counts)+2), len(h.Counts)
	rows = append(append(append(rows, h.Under), h.Counts...), h.Over)
	edge := func(i int) float64 { return h.Lo + (h.Hi-h.Lo)*float64(i)/float64(bins) } // bin i of rows is below it
	first, last := slot(rows, p*c.Count-c.HiddenRows), slot(rows, p*c.Count)
	if c.HiddenRows > 0 && p*c.Count <= c.HiddenRows {
		first = 0
	}
	if first > 0 {
		q.From = new(edge(first - 1))
	}
	if last <= bins {
		q.To = new(edge(last))
	}
	if q.From != nil && q.To != nil && last-first <= 1 {
		return Quantile{Value: new(min(max(made, *q.From), *q.To))}
	}
	return q
}

// slot is the first of rows that has some and reaches so many; what is above all of them
// where none does.
func slot(rows []float64, target float64) int {
	sum := 0.0
	for i, n := range rows {
		if sum += n; sum > 0 && sum >= target {
			return i
		}
	}
	return len(rows) - 1
}
