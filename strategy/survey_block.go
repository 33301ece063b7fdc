package strategy

import (
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// rangeSD is how many standard deviations a histogram reaches to either side of the mean
// where the task says no range.
const rangeSD = 4

// surveyBlock is some features of a survey, from from up to to.
type surveyBlock struct {
	*survey
	next     map[string][]float64 // the whole model that is made
	from, to int
}

func (b surveyBlock) finish(all *Updates) error {
	part := make(map[string][]float64, len(b.schema))
	for _, spec := range b.schema {
		part[spec.Name] = make([]float64, (b.to-b.from)*b.wide(spec.Name))
	}
	for i := range all.List {
		for name, v := range part {
			if err := b.read(v, all, i, name); err != nil {
				return err
			}
		}
		b.merge(part)
	}
	for f := b.from; f < b.to; f++ {
		b.conclude(f)
	}
	for i, u := range all.List {
		if err := b.read(part[model.SurveyCounts], all, i, model.SurveyCounts); err != nil {
			return err
		}
		for f := b.from; f < b.to; f++ {
			b.compare(f, u.Index, b.row(part[model.SurveyCounts], f-b.from))
		}
	}
	return nil
}

// wide is how many values a tensor of an update has for each feature.
func (b surveyBlock) wide(name string) int {
	if name == model.SurveyCounts {
		return 2 + b.Bins
	}
	return 1
}

func (b surveyBlock) read(dst []float64, all *Updates, i int, name string) error {
	return all.Read(dst, i, b.first(name)+b.from*b.wide(name))
}

// merge takes one update's part in.
func (b surveyBlock) merge(part map[string][]float64) {
	n, mean, m2 := b.next[model.StatNName], b.next[model.StatMeanName], b.next[model.StatM2Name]
	for k, told := range part[model.StatNName] {
		if told == 0 || !b.Extremes {
			continue
		}
		b.extend(b.from+k, part[model.SurveyMin][k], part[model.SurveyMax][k])
	}
	fold.Moments{N: n[b.from:b.to], Mean: mean[b.from:b.to], M2: m2[b.from:b.to]}.Merge(
		fold.Moments{N: part[model.StatNName], Mean: part[model.StatMeanName], M2: part[model.StatM2Name]})
	for k, told := range part[model.StatNName] {
		if told > 0 {
			b.next[model.SurveySites][b.from+k]++
		}
	}
	for _, name := range []string{model.SurveyMissing, model.SurveyHidden, model.SurveyCounts} {
		sum := b.next[name][b.from*b.wide(name):]
		for k, c := range part[name] {
			sum[k] += c // whole numbers
		}
	}
}

// extend takes in the extremes of an update, if it tells them.
func (b surveyBlock) extend(f int, least, most float64) {
	low, high := b.next[model.SurveyMin], b.next[model.SurveyMax]
	switch {
	case least > most:
	case low[f] > high[f]:
		low[f], high[f] = least, most
	default:
		low[f], high[f] = min(low[f], least), max(high[f], most)
	}
}

// few keeps only the counts of a feature that too few sites have told of: what is made of
// two tells each of them what the other has.
func (b surveyBlock) few(f int) {
	clear(b.row(b.next[model.SurveyCounts], f))
	b.next[model.StatMeanName][f], b.next[model.StatM2Name][f] = 0, 0
	if b.Extremes {
		b.next[model.SurveyMin][f], b.next[model.SurveyMax][f] = model.NoMin, model.NoMax
	}
}

// conclude makes what follows from the sums of a feature.
func (b surveyBlock) conclude(f int) {
	counts, reference := b.row(b.next[model.SurveyCounts], f), b.row(b.next[model.SurveyReference], f)
	b.next[model.SurveyDrift][f], b.next[model.SurveyWorst][f], b.next[model.SurveyWorstSite][f] = -1, -1, 0
	if b.next[model.SurveySites][f] < b.next[model.SurveyLeast][0] {
		b.few(f)
	} else if !b.ranged(f) {
		b.findRange(f)
	}
	for i, p := range b.next[model.SurveyLevels] {
		b.next[model.SurveyQuantiles][f*b.Quantiles+i] = fold.Quantile(p, counts, b.lo[f], b.hi[f])
	}
	switch {
	case empty(counts):
	case empty(reference):
		copy(reference, counts)
	default:
		b.next[model.SurveyDrift][f] = fold.PSI(counts, reference)
	}
}

// findRange says where the histograms of a feature begin and end from the next round on.
func (b surveyBlock) findRange(f int) {
	n, mean := b.next[model.StatNName][f], b.next[model.StatMeanName][f]
	if n == 0 {
		return
	}
	half := float64(rangeSD * math.Sqrt(b.next[model.StatM2Name][f]/n))
	if !(half > 1e-12*math.Abs(mean)) { // the values are all the same
		half = max(float64(1e-6*math.Abs(mean)), 1e-6)
	}
	b.next[model.SurveyLo][f], b.next[model.SurveyHi][f] = mean-half, mean+half
}

// compare holds the counts of one site against those of all.
func (b surveyBlock) compare(f int, site uint32, counts []float64) {
	all := b.row(b.next[model.SurveyCounts], f)
	if empty(all) || empty(counts) {
		return
	}
	if psi := fold.PSI(counts, all); psi > b.next[model.SurveyWorst][f] {
		b.next[model.SurveyWorst][f], b.next[model.SurveyWorstSite][f] = psi, float64(site)
	}
}

func empty(counts []float64) bool {
	for _, c := range counts {
		if c > 0 {
			return false
		}
	}
	return true
}
