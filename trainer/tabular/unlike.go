package tabular

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
)

// Compare says what the rows of several sites have that may not be meant so: numbers of a
// column that another unit would explain, classes that may be exchanged, texts that no two
// sites share, and rows that two sites both have. names are those of the sites.
func Compare(names []string, sites []*Trainer) (said []string) {
	said = sameRows(names, sites)
	if len(sites) < 2 {
		return said
	}
	spreads := make([][]Spread, len(sites))
	for i, t := range sites {
		spreads[i] = t.Spreads()
		if len(spreads[i]) != len(spreads[0]) {
			return said // they mean something else, which is refused
		}
	}
	said = append(said, exchanged(names, sites)...)
	for j := range spreads[0] {
		of := make([]Spread, len(sites))
		for i := range sites {
			of[i] = spreads[i][j]
		}
		said = append(said, otherUnits(names, of)...)
		if own := ownTexts(names, of); own != "" {
			said = append(said, own)
		}
	}
	return said
}

// exchanged compares how many rows each class has at the sites.
func exchanged(names []string, sites []*Trainer) []string {
	classes := sites[0].Classes()
	of := make([][]int, len(sites))
	for i, t := range sites {
		if classes == nil || !slices.Equal(t.Classes(), classes) {
			return nil
		}
		of[i] = countOf(slices.Concat(t.data.Train.Y, t.data.Test.Y), len(classes))
	}
	return pipeline.Exchanged(sites[0].data.pipe.Contract().Target.Name, classes, names, of)
}

// otherUnits compares the numbers of one column at each site with those at the first.
func otherUnits(names []string, of []Spread) []string {
	spreads := make([]pipeline.Spread, len(of))
	for i, s := range of {
		if s.Values != nil || s.Unit != "" {
			return nil
		}
		spreads[i] = s.Spread
	}
	return pipeline.OtherUnits(of[0].Name, names, spreads)
}

// ownTexts says of a column of texts that each site has its own: they tell the sites apart,
// as the names of machines do.
func ownTexts(names []string, of []Spread) string {
	sites := 0
	for j := range of[0].Values {
		at := 0
		for _, s := range of {
			if j < len(s.Of) && s.Of[j] > 0 {
				at++
			}
		}
		if at > 1 {
			return ""
		}
	}
	var own []string
	for i, s := range of {
		if s.Values == nil {
			return ""
		}
		if s.N == 0 {
			continue
		}
		sites++
		text := s.Values[slices.IndexFunc(s.Of, func(n int) bool { return n > 0 })]
		own = append(own, fmt.Sprintf("%s %.40q", names[i], text))
	}
	if sites < 2 {
		return ""
	}
	return fmt.Sprintf("no two sites share a text of %s (%s): it tells the sites apart, and teaches nothing that holds at another; leave it out of features", of[0].Name, strings.Join(own, ", "))
}

// sameRows names sites that have the same rows, in whatever order.
func sameRows(names []string, sites []*Trainer) (said []string) {
	seed := maphash.MakeSeed()
	type rows struct {
		n   int
		sum uint64
	}
	first := map[rows]int{}
	for i, t := range sites {
		d := t.data
		r := rows{n: d.Train.N + d.Test.N, sum: d.Train.sum(seed) + d.Test.sum(seed)}
		if k, there := first[r]; there {
			said = append(said, fmt.Sprintf("%s and %s have the same %d rows (%s, %s): each counts twice", names[k], names[i], r.n, sites[k].data.names(), d.names()))
		} else {
			first[r] = i
		}
	}
	return said
}

// sum is a number of the rows that does not depend on their order.
func (r *Rows) sum(seed maphash.Seed) (sum uint64) {
	if r.N == 0 {
		return 0
	}
	dim := len(r.X) / r.N
	var b []byte
	for i := range r.N {
		b = b[:0]
		for _, v := range r.X[i*dim : (i+1)*dim] {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.Y[i]))
		sum += maphash.Bytes(seed, b)
	}
	return sum
}

// names of the files.
func (d *Data) names() string {
	var names []string
	for _, f := range d.Files {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}
