package aggregator

import "slices"

// lane is what one task has to publish; the publisher's mutex guards it.
type lane struct {
	task    *task
	pub     *publication // the newest, not out yet
	shelf   *shelf
	fill    []int    // parts to publish once more
	clear   []string // topics to clear
	cleared int      // of those that had to be
	queued  int      // how many they were
}

// class is what a lane wants next; the smaller comes first.
type class int

const (
	message  class = iota // of an order whose parts are there
	parts                 // of a model that is new
	filling               // parts that should be there
	clearing              // topics of an earlier layout
	nothing
)

func (l *lane) class() class {
	switch {
	case l.pub != nil && len(l.pub.parts) == 0:
		return message
	case l.pub != nil:
		return parts
	case len(l.fill) > 0:
		return filling
	case len(l.clear) > 0:
		return clearing
	}
	return nothing
}

// take returns the lane to serve next, and puts it last for its next turn.
func (p *publisher) take() (*lane, class, *publication) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, c := -1, nothing
	for i, l := range p.lanes {
		if l.class() < c {
			best, c = i, l.class()
		}
	}
	if best < 0 {
		return nil, nothing, nil
	}
	l := p.lanes[best]
	p.lanes = append(slices.Delete(p.lanes, best, best+1), l)
	return l, c, l.pub
}

// item is one part, or one topic to clear.
type item struct {
	shelf *shelf
	part  int
	topic string
	of    int
}

// turnLength is how many parts a lane may send before another one of its class
// has its turn.
const turnLength = 64

// next takes the next item of a turn of lane l, unless the turn is over: it
// was long enough, there is something better to do, or the lane has something
// newer.
func (p *publisher) next(l *lane, c class, pub *publication, left *int) (one item, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *left == 0 || l.class() != c || l.pub != pub || slices.ContainsFunc(p.lanes, func(o *lane) bool { return o.class() < c }) {
		return item{}, false
	}
	*left--
	one.shelf = l.shelf
	switch c {
	case parts:
		one.part, pub.parts = pub.parts[0], pub.parts[1:]
	case filling:
		one.part, l.fill = l.fill[0], l.fill[1:]
	default:
		one.topic, one.of, l.clear = l.clear[0], l.queued, l.clear[1:]
	}
	return one, true
}

// union adds to a list what is not in it, in ascending order.
func union(list, more []int) []int {
	all := append(slices.Clone(list), more...)
	slices.Sort(all)
	return slices.Compact(all)
}
