package aggregator

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
)

// What the retained history holds at most, and how often it is published.
const (
	pastRounds = 96
	pastBytes  = 15 << 10
	pastNames  = 12
	pastEvery  = 10 * time.Second
)

// past is the curve of a task for who comes later: its committed rounds, thinned
// out evenly as they become many. The disk has all of them.
type past struct {
	list []pastRound
	step uint64 // least distance of two rounds in list
	last pastRound
	due  bool
	at   int64 // when it was published, in ms
}

type pastRound struct {
	round   uint64
	attempt uint32
	work    string
	counted int
	members int
	seconds float64
	metrics map[string]float64
}

// add takes a committed round in.
func (p *past) add(s summary) {
	p.last = pastRound{s.Round, s.Attempt, s.Work, s.Counted, s.Members, brief(s.Seconds), s.Metrics}
	p.due = true
	if n := len(p.list); n > 0 && s.Round < p.list[n-1].round+p.step {
		return
	}
	p.list = append(p.list, p.last)
	if len(p.list) <= pastRounds {
		return
	}
	for i := range len(p.list)/2 + 1 {
		p.list[i] = p.list[2*i]
	}
	p.list = p.list[:len(p.list)/2+1]
	p.step = max(2*p.step, 2)
}

// rounds are those to publish: the last one is always among them.
func (p *past) rounds() []pastRound {
	if n := len(p.list); n == 0 || p.list[n-1].round == p.last.round {
		return p.list
	}
	return append(slices.Clone(p.list), p.last)
}

// historyView is the course of a task in columns, one place for each round.
type historyView struct {
	Schema      string                `json:"schema"`
	TimestampMS int64                 `json:"timestamp_ms"`
	Task        string                `json:"task"`
	Rounds      []uint64              `json:"rounds"` // committed; of a long task some, evenly, and the last
	Attempts    []uint32              `json:"attempts"`
	Works       []string              `json:"works"`
	Counted     []int                 `json:"counted"` // members in the sum
	Members     []int                 `json:"members"` // in the cohort
	Seconds     []float64             `json:"seconds"` // from the order to the record
	Metrics     map[string][]*float64 `json:"metrics"` // of the model that the round began with; null where there is none
}

// view is what is published: below 16 kB, whatever the metrics are called.
func (p *past) view(task string, now int64) []byte {
	list := p.rounds()
	v := historyView{Schema: "fedmq.history.v1", TimestampMS: now, Task: task, Rounds: []uint64{}, Attempts: []uint32{}, Works: []string{}, Counted: []int{}, Members: []int{}, Seconds: []float64{}}
	names := map[string]bool{}
	for _, r := range list {
		v.Rounds, v.Attempts, v.Works = append(v.Rounds, r.round), append(v.Attempts, r.attempt), append(v.Works, r.work)
		v.Counted, v.Members, v.Seconds = append(v.Counted, r.counted), append(v.Members, r.members), append(v.Seconds, r.seconds)
		for name := range r.metrics {
			names[name] = true
		}
	}
	shown := slices.Sorted(maps.Keys(names))
	for n := min(len(shown), pastNames); ; n-- {
		v.Metrics = map[string][]*float64{}
		for _, name := range shown[:n] {
			column := make([]*float64, len(list))
			for i, r := range list {
				if x, ok := r.metrics[name]; ok {
					column[i] = new(brief(x))
				}
			}
			v.Metrics[name] = column
		}
		if b := jsonOf(v); len(b) <= pastBytes || n == 0 {
			return b
		}
	}
}

// brief keeps five digits: enough for a curve.
func brief(x float64) float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 5, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// pastDue is when the history wants to be published, 0 for never. It is not
// more often than every 10 s, but at once when the task halts.
func (t *task) pastDue() int64 {
	switch {
	case !t.past.due || !t.a.up:
		return 0
	case t.state.Phase == round.Halted:
		return 1
	}
	return t.past.at + pastEvery.Milliseconds()
}

func (t *task) publishPast(now int64) {
	if at := t.pastDue(); at == 0 || now < at || len(t.past.list) == 0 {
		return
	}
	t.past.due, t.past.at = false, now
	t.a.conn.Post(link.Message{Topic: t.topics.History(), Payload: t.past.view(t.cfg.Name, now), QoS: 1, Retained: true})
}

// course takes a record into the history.
func (t *task) course(r record.Record) {
	if r.Verdict == record.Committed && r.Round > 0 {
		t.past.add(t.last)
	}
}
