package trainer

// Measuring is an optional part of an Evaluator that knows which scores follow from what
// it measures (see [Pool]), before it has measured anything.
type Measuring interface {
	// Measures names them in a new slice; nil: that is not known yet. With the rows at hand one of them
	// may have no value.
	Measures() []string
}

// MeasuresOf returns the scores of what t measures, nil if they are not known.
func MeasuresOf(t Trainer) []string {
	if m, ok := t.(Measuring); ok {
		return m.Measures()
	}
	return nil
}
