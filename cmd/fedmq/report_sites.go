package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// reportSite is one member of the cohorts.
type reportSite struct {
	Path             string
	Cohorts, Counted int
	Rows, Tested     uint64 // to train on, as it said last; that it has measured on last
	Value            string // of the metric that is shown first, on its own rows
	Mark             string // of the value
	Others           string // what became of it where it was not counted, and how late it was where it was
	Data             string // where its rows are, if that is known
}

// reportPersonal is what a site has made of the released version for itself.
type reportPersonal struct{ Path, Text string }

type reportCount struct {
	Reason, Words string
	N             int
}

// sites says of each member what it has, how often it was asked and counted, and what
// else became of it; and how often which refusal or absence was recorded, the most
// frequent first.
func (src reportSource) sites() (sites []reportSite, counts []reportCount) {
	bySite, others, all, late := map[string]*reportSite{}, map[string]map[verdict.Reason]int{}, map[verdict.Reason]int{}, map[string][2]uint64{}
	metric, last := src.run.metric(), src.lastMeasured()
	for _, r := range src.run.Records {
		for _, e := range r.Entries {
			s := bySite[e.Member]
			if s == nil {
				s = &reportSite{Path: e.Member, Data: src.dataOf(e.Member)}
				bySite[e.Member], others[e.Member] = s, map[verdict.Reason]int{}
			}
			s.Cohorts++
			s.say(r, e, metric, last)
			if e.Verdict == verdict.Counted {
				s.Counted++
				if n := late[e.Member]; e.Staleness > 0 {
					late[e.Member] = [2]uint64{n[0] + 1, n[1] + e.Staleness}
				}
				continue
			}
			others[e.Member][e.Verdict]++
			all[e.Verdict]++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(bySite)) {
		s := bySite[path]
		var texts []string
		if n := late[path]; n[0] > 0 {
			texts = append(texts, fmt.Sprintf("counted late: %d, %.1f versions behind on the mean", n[0], float64(n[1])/float64(n[0])))
		}
		for _, c := range countsOf(others[path]) {
			texts = append(texts, fmt.Sprintf("%s: %d", c.Words, c.N))
		}
		s.Others = strings.Join(texts, "; ")
		sites = append(sites, *s)
	}
	return sites, countsOf(all)
}

// say takes in what a record has of the site's rows and of its metric.
func (s *reportSite) say(r record.Record, e record.Entry, metric string, last *record.Record) {
	if e.Samples > 0 && (s.Rows == 0 || r.Work == wire.WorkTrain) {
		s.Rows = e.Samples
	}
	if n := e.Metrics[trainer.SumN]; n > 0 {
		s.Tested = uint64(n)
	}
	v, ok := e.Metrics[metric]
	if !ok || r.Verdict != record.Committed {
		return
	}
	s.Value, s.Mark = numberText(v), ""
	m := r.Metrics[metric]
	switch {
	case last == nil || r.Round != last.Round:
		s.Mark = fmt.Sprintf("in round %d", r.Round)
	case m.Sites < 2 || m.Best == m.Worst:
	case e.Member == m.BestSite:
		s.Mark = "best"
	case e.Member == m.WorstSite:
		s.Mark = "worst"
	}
}

// lastMeasured is the last record with metrics, nil for none.
func (src reportSource) lastMeasured() *record.Record {
	points := src.run.measured()
	if len(points) == 0 {
		return nil
	}
	return points[len(points)-1].Record
}

// dataOf says where the rows of a site are, as fedmq up has noted it.
func (src reportSource) dataOf(member string) string {
	set := flat(src.run.settings().Sites[member])
	if train := set["trainer.tabular.train"]; train != "" {
		return train
	}
	return set["trainer.exec.command"]
}

// personal says what sites have made of the released version for themselves, as fedmq up has seen
// it.
func (src reportSource) personal() (list []reportPersonal) {
	for _, path := range slices.Sorted(maps.Keys(src.made)) {
		list = append(list, reportPersonal{path, personalText(src.made[path])})
	}
	return list
}

// countsOf sorts verdicts, the most frequent first.
func countsOf(n map[verdict.Reason]int) (counts []reportCount) {
	for reason, k := range n {
		counts = append(counts, reportCount{reason.String(), wordsOf(reason), k})
	}
	slices.SortFunc(counts, func(a, b reportCount) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Reason, b.Reason))
	})
	return counts
}
