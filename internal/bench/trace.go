package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Hop is one step of a round: milliseconds since its order left the aggregator, of
// the first, the middle and the last of all sites or messages; medians over the rounds.
type Hop struct {
	Role   string  `json:"role"`
	What   string  `json:"what"`
	First  float64 `json:"first_ms"`
	Median float64 `json:"median_ms"`
	Last   float64 `json:"last_ms"`
}

// hops are the steps in the order in which they come, by the marks of whom.
var hops = []struct {
	role, what string
	marks      []string
}{
	{"aggregator", "order out", []string{"out order"}},
	{"site", "has the order", []string{"in order"}},
	{"site", "has the model", []string{"in model"}},
	{"site", "begins to train", []string{"train"}},
	{"site", "has trained", []string{"trained"}},
	{"site", "update out", []string{"out update", "out part"}},
	{"site", "is told that the broker has it", []string{"in acknowledged"}},
	{"aggregator", "has an update", []string{"in update", "in part"}},
	{"aggregator", "answer to a site out", []string{"out reply"}},
	{"aggregator", "next model out", []string{"out model"}},
	{"aggregator", nextOrder, nil},
	{"aggregator", recordTold, nil},
}

// What ends a round, and what is told behind it: they have no marks of their own.
const (
	nextOrder  = "next order out"
	recordTold = "record told"
)

// addTrace fills in the hops of the measured rounds.
func (r *federation) addTrace(res *Result) {
	if !r.Trace {
		return
	}
	begins := r.orders()
	at := make([][3][]float64, len(hops))
	for n := warmUp + 1; n < len(r.records)-1; n++ { // the last has no order after it
		if !r.measured(n) {
			continue
		}
		from, to := begins[n], begins[n+1]
		for i, h := range hops {
			ms := r.within(h.role, h.marks, from, to)
			switch h.what {
			case nextOrder:
				ms = []float64{float64(to-from) / 1e6}
			case recordTold:
				ms = []float64{float64(r.records[n].Unix-from) / 1e6}
			}
			if len(ms) == 0 {
				continue
			}
			slices.Sort(ms)
			for j, v := range [...]float64{ms[0], median(ms), ms[len(ms)-1]} {
				at[i][j] = append(at[i][j], v)
			}
		}
	}
	for i, h := range hops {
		if len(at[i][0]) > 0 {
			res.Trace = append(res.Trace, Hop{h.role, h.what, medianOf(at[i][0]), medianOf(at[i][1]), medianOf(at[i][2])})
		}
	}
}

// orders is when the order of each round left: the mark next to the record before it,
// which is told while the order leaves; no two rounds have the same.
func (r *federation) orders() []int64 {
	var out []int64
	for _, m := range r.members {
		if m.spec.Role == "aggregator" {
			for _, x := range r.usages[m][atEnd].Marks {
				if x.What == "out order" {
					out = append(out, x.At)
				}
			}
		}
	}
	begins := make([]int64, len(r.records))
	for n := 1; n < len(r.records); n++ {
		out = slices.DeleteFunc(out, func(at int64) bool { return at <= begins[n-1] })
		if len(out) == 0 {
			break
		}
		recorded := r.records[n-1].Unix
		begins[n] = slices.MinFunc(out, func(a, b int64) int { return cmp.Compare(max(a-recorded, recorded-a), max(b-recorded, recorded-b)) })
	}
	return begins
}

// within returns the milliseconds after from at which a role's parties had marks: of
// the aggregator each, of a site the last.
func (r *federation) within(role string, marks []string, from, to int64) (ms []float64) {
	for _, m := range r.members {
		if m.spec.Role != role {
			continue
		}
		last := int64(0)
		for _, x := range r.usages[m][atEnd].Marks {
			if x.At < from || x.At >= to || !slices.Contains(marks, x.What) {
				continue
			}
			if last = x.At; role == "aggregator" {
				ms = append(ms, float64(x.At-from)/1e6)
			}
		}
		if role == "site" && last > 0 {
			ms = append(ms, float64(last-from)/1e6)
		}
	}
	return ms
}

// printTrace writes the hops as a table.
func (r *Result) printTrace(w io.Writer) {
	if len(r.Trace) == 0 {
		return
	}
	fmt.Fprintf(w, "%-11s %-32s %9s %9s %9s  ms after the order is out\n", "", "", "first", "middle", "last")
	for _, h := range r.Trace {
		fmt.Fprintf(w, "%-11s %-32s %9.2f %9.2f %9.2f\n", h.Role, h.What, h.First, h.Median, h.Last)
	}
}
