package pipeline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// OtherUnits says at which sites the numbers of a column are so unlike those at the first as
// another unit would explain, and what every site writes then.
func OtherUnits(column string, sites []string, of []Spread) (said []string) {
	type other struct {
		site            int
		words, from, to string
	}
	var found []other
	var others []string // that have what the first has
	for i, s := range of {
		if words, from, to := OtherUnit(s, of[0]); words != "" {
			found = append(found, other{i, words, from, to})
		} else {
			others = append(others, sites[i])
		}
	}
	for _, o := range found {
		a, b, at := of[0], of[o.site], sites[o.site]
		said = append(said, fmt.Sprintf("%s has mean %.4g and deviation %.2g at %s, %.4g and %.2g at %s: %s. If their units differ: columns: {%[1]s: {unit: %[9]s, to: %[10]s}} at %[4]s, "+
			"{%[1]s: {unit: %[10]s}} at %[11]s, each below tabular: in the site's file", column, b.Mean, b.SD, at, a.Mean, a.SD, sites[0], o.words, o.from, o.to, strings.Join(others, ", ")))
	}
	return said
}

// Limits of what exchanged classes explain, by the logarithm of the odds of one class
// against another.
const (
	unlikeOdds = 3.     // so far apart are 18 % at one site and 82 % at another
	leftOdds   = 1. / 3 // of that distance may be left when the classes are exchanged
)

// Exchanged says at which sites two classes seem to stand for each other: of[i][k] is how many
// rows of class k site i has. Each site is held against the median of the others; of two, the
// second against the first.
func Exchanged(column string, classes, sites []string, of [][]int) (said []string) {
	for i := range sites {
		if len(sites) == 2 && i == 0 {
			continue
		}
		var most exchange
		for a := range classes {
			for b := range classes {
				if x, ok := exchanged(of, i, a, b); ok && x.apart > most.apart {
					most = x
				}
			}
		}
		if most.apart > 0 {
			said = append(said, most.say(column, classes, sites, of))
		}
	}
	return said
}

// exchange is a site at which a is as frequent as b is at the site beside it, and rare there.
type exchange struct {
	site, beside, a, b int
	apart              float64
}

// exchanged holds the odds of two classes at a site against those of the others.
func exchanged(of [][]int, i, a, b int) (exchange, bool) {
	beside, ok := median(of, i, a, b)
	if !ok || len(of[i]) == 0 || of[i][a]+of[i][b] < fewest {
		return exchange{}, false
	}
	here, there := odds(of[i], a, b), odds(of[beside], a, b)
	apart := here - there // a is the class that is rare elsewhere
	told := min(of[i][a], of[i][b]) > 0 || min(of[beside][a], of[beside][b]) > 0
	return exchange{i, beside, a, b, apart}, told && apart >= unlikeOdds && math.Abs(here+there) <= leftOdds*apart
}

// odds is the logarithm of those of a against b; half a row more of each keeps it finite.
func odds(rows []int, a, b int) float64 {
	return math.Log((float64(rows[a]) + .5) / (float64(rows[b]) + .5))
}

// median is the site other than i that has the median of the odds; of two in the middle, the
// one with the evener odds, and none where they contradict each other.
func median(of [][]int, i, a, b int) (site int, ok bool) {
	var others []int
	for k, rows := range of {
		if k != i && sum(rows) >= fewest {
			others = append(others, k)
		}
	}
	if len(others) == 0 {
		return 0, false
	}
	slices.SortStableFunc(others, func(x, y int) int { return cmp.Compare(odds(of[x], a, b), odds(of[y], a, b)) })
	low, high := others[(len(others)-1)/2], others[len(others)/2]
	x, y := odds(of[low], a, b), odds(of[high], a, b)
	if math.Abs(y) < math.Abs(x) {
		low = high
	}
	return low, x*y >= 0
}

func sum(rows []int) (all int) {
	for _, n := range rows {
		all += n
	}
	return all
}

func (x exchange) say(column string, classes, sites []string, of [][]int) string {
	part := func(site int) float64 { return 100 * float64(of[site][x.a]) / float64(sum(of[site])) }
	a, b := classes[x.a], classes[x.b]
	return fmt.Sprintf("%s of %s has %.3g %% of the rows at %s, %.3g %% at %s: are %[1]s and %[7]s exchanged at one of them? If so: columns: {%[2]s: {values: {%[1]q: %[7]q, %[7]q: %[1]q}}} there, "+
		"below tabular: in the site's file", a, column, part(x.beside), sites[x.beside], part(x.site), sites[x.site], b)
}
