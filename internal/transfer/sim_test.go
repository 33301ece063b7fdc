package transfer

import (
	"container/heap"
	"math/rand/v2"
)

// sim is virtual time: what is due, in the order in which it is due.
type sim struct {
	now  ms
	n    int
	due  events
	rand *rand.Rand
}

func newSim(seed uint64) *sim {
	return &sim{now: 1_000, rand: rand.New(rand.NewPCG(seed, 1))}
}

type event struct {
	at ms
	n  int // order of making, among events of one time
	do func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// after does something d later.
func (s *sim) after(d ms, do func()) {
	s.n++
	heap.Push(&s.due, event{s.now + d, s.n, do})
}

// run lets time pass until a point in time, or until over says so.
func (s *sim) run(until ms, over func() bool) {
	for len(s.due) > 0 && s.due[0].at <= until && !over() {
		e := heap.Pop(&s.due).(event)
		s.now = e.at
		e.do()
	}
}

// chance is true n times in a thousand.
func (s *sim) chance(n int) bool { return s.rand.IntN(1000) < n }

// pipe carries messages one after the other.
type pipe struct {
	s       *sim
	part    ms // time of a message with a part
	latency ms
	jitter  ms // messages within it may change places
	free    ms // when the last one is through
}

// send delivers a message; a small one takes no time of the pipe.
func (p *pipe) send(part bool, do func()) {
	at := max(p.s.now, p.free)
	if part {
		at += p.part
		p.free = at
	}
	p.s.after(at-p.s.now+p.latency+p.s.rand.Int64N(p.jitter+1), do)
}
