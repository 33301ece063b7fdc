package trainer

import (
	"maps"
	"math"
	"slices"
)

// Class is one class over the rows of all sites that count it.
type Class struct {
	Class     int
	Rows      float64 // of the class
	Predicted float64 // rows taken for it
	Correct   float64 // of them, rows of the class
	// AUC and AP are the area under the ROC curve, and the average precision, of the
	// class against the rest; NaN without histograms, or where all rows are on one side.
	// They may be off by AUCError and APError.
	AUC, AP           float64
	AUCError, APError float64
}

// Precision is the share of the rows taken for the class that are of it; 0 for none.
func (c Class) Precision() float64 { return share(c.Correct, c.Predicted) }

// Recall is the share of the class's rows that were found; 0 for none.
func (c Class) Recall() float64 { return share(c.Correct, c.Rows) }

// F1 is their harmonic mean, 2TP/(2TP+FP+FN).
func (c Class) F1() float64 { return share(2*c.Correct, c.Rows+c.Predicted) }

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// classes adds up the classes of sites.
type classes struct {
	rows    float64
	of      map[int]*Class
	cells   map[[2]int]int64
	partial bool // some site does not tell all cells
	curves  curves
}

func newClasses() classes {
	return classes{of: map[int]*Class{}, cells: map[[2]int]int64{}}
}

func (s *classes) class(i int) *Class {
	c := s.of[i]
	if c == nil {
		c = &Class{Class: i}
		s.of[i] = c
	}
	return c
}

// add takes counts in.
func (s *classes) add(c *Counts) {
	s.rows += float64(c.Rows())
	for i := range c.Classes {
		for j := range c.Classes {
			if v := c.Confusion[i*c.Classes+j]; v > 0 {
				s.cell(i, j, float64(v))
			}
		}
	}
	s.curves.add(c)
}

func (s *classes) cell(i, j int, v float64) {
	s.class(i).Rows += v
	s.class(j).Predicted += v
	if i == j {
		s.class(i).Correct += v
	}
	if v != math.Trunc(v) || v > MaxRows { // a peer's number of rows that is none
		s.partial = true
		return
	}
	s.cells[[2]int{i, j}] += int64(v)
}

// addNamed takes in the classes of a site that names them: margins where it reports
// any, else its cells.
func (s *classes) addNamed(m Metrics, n float64) {
	named, margins := false, false
	for name := range m {
		kind, _, _, ok := class(name)
		named = named || ok
		margins = margins || ok && kind != "confusion"
	}
	if !named {
		return
	}
	s.rows += n
	s.partial = s.partial || margins
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch kind, i, j, ok := class(name); {
		case !ok:
		case kind == "actual":
			s.class(i).Rows += m[name]
		case kind == "predicted":
			s.class(i).Predicted += m[name]
		case !margins:
			s.cell(i, j, m[name])
		case i == j:
			s.class(i).Correct += m[name]
		}
	}
}

// scores puts down what follows from the classes.
func (s *classes) scores(out *Pooled) {
	if len(s.of) == 0 {
		return
	}
	var f1, recall, n float64
	for _, i := range slices.Sorted(maps.Keys(s.of)) {
		c := *s.of[i]
		s.curves.judge(&c)
		if c.Rows > 0 {
			f1, recall, n = f1+c.F1(), recall+c.Recall(), n+1
		}
		out.Classes = append(out.Classes, c)
	}
	out.Confusion = s.confusion()
	none := math.NaN()
	out.Scores[ScoreMacroF1] = Score{Value: f1 / n, Rows: s.rows, Guess: none}
	out.Scores[ScoreBalanced] = Score{Value: recall / n, Rows: s.rows, Guess: none}
	if s.curves.rows > 0 {
		out.curve = &s.curves
		s.curves.scores(out)
	}
}

// confusion is the matrix, if it is small enough and all sites tell it.
func (s *classes) confusion() [][]int64 {
	n := slices.Max(slices.Collect(maps.Keys(s.of))) + 1
	if s.partial || n > MaxClasses {
		return nil
	}
	out := make([][]int64, n)
	for i := range out {
		out[i] = make([]int64, n)
		for j := range out[i] {
			out[i][j] = s.cells[[2]int{i, j}]
		}
	}
	return out
}

// guess tells the scores of always naming the class that most rows have.
func (s *classes) guess(set func(name string, rows, v float64)) {
	var most, total, classes, entropy float64
	for _, i := range slices.Sorted(maps.Keys(s.of)) {
		if n := s.of[i].Rows; n > 0 {
			most, total, classes = max(most, n), total+n, classes+1
		}
	}
	if total == 0 || total != s.rows {
		return
	}
	for _, i := range slices.Sorted(maps.Keys(s.of)) {
		if q := s.of[i].Rows / total; q > 0 {
			entropy -= float64(q * math.Log(q))
		}
	}
	set(ScoreAccuracy, s.rows, most/total)
	set(ScoreLogLoss, s.rows, entropy)
	set(ScoreMacroF1, s.rows, 2*most/(most+total)/classes)
	set(ScoreBalanced, s.rows, 1/classes)
	set(ScoreROCAUC, s.rows, 0.5)
	set(ScorePrecision, s.rows, 1/classes)
}

// Rare is the share of the rows below which a class is rare, so that macro F1 tells more
// of a model than accuracy; with more than five classes, half of an even share.
const Rare = 0.1

// rare says which class is, and its share.
func (p Pooled) rare() (class int, part float64, ok bool) {
	class, part, ok = p.Rarest()
	n := 0.0
	for _, c := range p.Classes {
		if c.Rows > 0 {
			n++
		}
	}
	return class, part, ok && part < min(Rare, 0.5/n)
}

// Rarest returns the class that fewest rows have, of those that occur, and its share; the
// later of equals. ok is false without classes.
func (p Pooled) Rarest() (class int, part float64, ok bool) {
	var total float64
	least := math.Inf(1)
	for _, c := range p.Classes {
		total += c.Rows
		if c.Rows > 0 && c.Rows <= least {
			class, least, ok = c.Class, c.Rows, true
		}
	}
	return class, least / total, ok
}
