package strategy

import "fmt"

// selective is a strategy in which what one value counts for depends on all others: it
// reads the updates at the end of the round, block by block, so that memory does not
// grow with the model. Its rows are the updates in the byte order of their members'
// paths, or what is mixed of them first. Unless it is told otherwise every row counts
// the same: how many samples somebody has is a claim of the suspect.
type selective struct {
	id string
	kernel
	mix int // rows that may be bad, whose nearest neighbours are mixed; 0: nothing is mixed
}

// kernel makes the mean update of rows.
type kernel interface {
	// least is how many rows it wants.
	least() int
	// mean gives all coordinates to out.Mean. Carried is what it gave out.Carry last.
	mean(t *table, carried []byte, out *Output) error
}

// Name is what orders and records say.
func (s selective) Name() string { return s.id }

// Minimum is the fewest updates that a round can be made of.
func (s selective) Minimum() int {
	if s.mix == 0 {
		return s.least()
	}
	return max(s.least(), 2*s.mix+1)
}

// Begin starts an attempt.
func (s selective) Begin(r Round, _ Fold) (Fold, error) {
	v, err := NewValues(r)
	if err != nil {
		return nil, err
	}
	return &spooled{Values: v, selective: s, carried: r.Carried}, nil
}

// spooled is the fold of a selective strategy: it keeps nothing of an update.
type spooled struct {
	*Values
	selective
	carried []byte
}

func (f *spooled) Add(Update) {}

func (f *spooled) NeedsAll() bool { return true }

func (f *spooled) Finish(all *Updates, out *Output) error {
	if all == nil || len(all.List) == 0 {
		return ErrEmpty
	}
	t := &table{all: all, n: len(all.List), d: all.Schema.Elements()}
	if f.mix > 0 {
		if err := t.premix(f.mix); err != nil {
			return err
		}
	}
	return f.mean(t, f.carried, out)
}

// few is the error of a kernel that has nothing to choose from. The quorum is at least
// the minimum, so that no round gets here.
func (t *table) few(id string, want int) error {
	return fmt.Errorf("%w: %s takes %d updates or more, here are %d", ErrEmpty, id, want, t.n)
}

// table is the rows of a round, n of d values.
type table struct {
	all  *Updates
	n, d int
	of   [][]int // the updates whose mean each row is; nil: row i is update i
}

// every is the rows of a table, by their numbers.
func (t *table) every() []int { return firsts(t.n) }

// firsts is the first n numbers, from 0 on.
func firsts(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// blocks calls fn for every block of coordinates with those rows: rows[k][j] is coordinate
// at+j of row which[k].
func (t *table) blocks(which []int, fn func(at int, rows [][]float64) error) error {
	read, place := t.needed(which)
	size := min(blockOf(len(read)+len(which)), t.d)
	raw := grid(len(read), size)
	rows := make([][]float64, len(which))
	if t.of != nil {
		rows = grid(len(which), size)
	}
	for at := 0; at < t.d; at += size {
		n := min(size, t.d-at)
		for k, i := range read {
			raw[k] = raw[k][:n]
			if err := t.all.Read(raw[k], i, at); err != nil {
				return err
			}
			unsigned(raw[k])
		}
		for k, i := range which {
			if t.of == nil {
				rows[k] = raw[place[i]]
				continue
			}
			rows[k] = rows[k][:n]
			mixed(rows[k], raw, place, t.of[i])
		}
		if err := fn(at, rows); err != nil {
			return err
		}
	}
	return nil
}

// needed is the updates that rows are made of, and the place of each in that list.
func (t *table) needed(which []int) (read []int, place map[int]int) {
	place = map[int]int{}
	add := func(i int) {
		if _, ok := place[i]; !ok {
			place[i] = len(read)
			read = append(read, i)
		}
	}
	for _, i := range which {
		if t.of == nil {
			add(i)
			continue
		}
		for _, j := range t.of[i] {
			add(j)
		}
	}
	return read, place
}

// mixed makes dst the mean of updates, added in the order of their paths.
func mixed(dst []float64, raw [][]float64, place map[int]int, of []int) {
	rows := make([][]float64, len(of))
	for k, i := range of {
		rows[k] = raw[place[i]]
	}
	average(dst, rows)
}

// grid is n rows of so many zeros.
func grid(n, size int) [][]float64 {
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, size)
	}
	return rows
}

// unsigned makes -0 a 0: which of the two is the lower would be for nobody to say.
func unsigned(x []float64) {
	for i, v := range x {
		if v == 0 {
			x[i] = 0
		}
	}
}

// columns calls fn for the coordinates of rows, with a copy of their values there.
func columns(rows [][]float64, fn func(j int, column []float64)) {
	spread(len(rows[0]), 8*len(rows), line, func(lo, hi int) {
		column := make([]float64, len(rows))
		for j := lo; j < hi; j++ {
			for i, r := range rows {
				column[i] = r[j]
			}
			fn(j, column)
		}
	})
}
