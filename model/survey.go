package model

// Survey says how large what a task of statistics gathers is (F-36). Its model holds what
// was found, and how it is counted; all tensors are f64 with the rule keep.
type Survey struct {
	Features  int
	Bins      int  // of each histogram, beside what is below and above
	Quantiles int  // that are made of each
	Extremes  bool // least and greatest values, too
}

// Names of the tensors of a survey's model. Those of a statistics update without fedmq's
// prefix, n, mean and m2, are among them. A row of counts has those below lo first, then each bin's, then
// those above hi.
const (
	SurveyLo      = "lo"      // [features]: where the histograms begin, and
	SurveyHi      = "hi"      // [features]: end; equal: it is not known yet
	SurveyLevels  = "levels"  // [quantiles]: which ones, 0 to 1
	SurveyLeast   = "least"   // [1]: fewest sites for a histogram
	SurveyMissing = "missing" // [features]: rows without a value
	SurveyCounts  = "counts"  // [features, 2 + bins]
	SurveyHidden  = "hidden"  // [features]: bins that sites had too little in to tell
	SurveyMin     = "min"     // [features]: NoMin where it is not told, and
	SurveyMax     = "max"     // [features]: NoMax

	SurveySites     = "sites"      // [features]: that have told of it
	SurveyQuantiles = "quantiles"  // [features, quantiles]
	SurveyReference = "reference"  // [features, 2 + bins]: the counts of the first round that had some
	SurveyDrift     = "drift"      // [features]: PSI of counts against reference; -1: not known
	SurveyWorst     = "worst"      // [features]: the greatest PSI of one site against all; -1: not known
	SurveyWorstSite = "worst_site" // [features]: index of that site
)

// A least value above the greatest: neither is told.
const (
	NoMin = 1.0
	NoMax = 0.0
)

// Model is the schema of the survey's model.
func (s Survey) Model() Schema {
	rows := []int{s.Features, 2 + s.Bins}
	specs := s.told()
	for _, name := range []string{SurveyLo, SurveyHi, SurveySites, SurveyDrift, SurveyWorst, SurveyWorstSite} {
		specs = append(specs, Spec{Name: name, Shape: []int{s.Features}})
	}
	return s.schema(append(specs, Spec{Name: SurveyLevels, Shape: []int{s.Quantiles}}, Spec{Name: SurveyLeast, Shape: []int{1}},
		Spec{Name: SurveyQuantiles, Shape: []int{s.Features, s.Quantiles}}, Spec{Name: SurveyReference, Shape: rows}))
}

// Update is the schema of what a site tells in a survey.
func (s Survey) Update() Schema { return s.schema(s.told()) }

// told are the tensors that a site tells and all sites together have.
func (s Survey) told() (specs []Spec) {
	names := []string{StatNName, StatMeanName, StatM2Name, SurveyMissing, SurveyHidden}
	if s.Extremes {
		names = append(names, SurveyMin, SurveyMax)
	}
	for _, name := range names {
		specs = append(specs, Spec{Name: name, Shape: []int{s.Features}})
	}
	return append(specs, Spec{Name: SurveyCounts, Shape: []int{s.Features, 2 + s.Bins}})
}

func (Survey) schema(specs []Spec) Schema {
	for i := range specs {
		specs[i].DType, specs[i].Rule = F64, Keep
	}
	schema, err := NewSchema(specs...)
	if err != nil {
		panic(err) // a negative number, or more than memory holds
	}
	return schema
}

// SurveyOf tells a survey by the schema of its model.
func SurveyOf(s Schema) (Survey, bool) {
	counts, levels := s.Shape(SurveyCounts), s.Shape(SurveyLevels)
	if len(counts) != 2 || counts[1] < 2 || len(levels) != 1 {
		return Survey{}, false
	}
	v := Survey{Features: counts[0], Bins: counts[1] - 2, Quantiles: levels[0], Extremes: s.Index(SurveyMin) >= 0}
	return v, s.Equal(v.Model())
}
