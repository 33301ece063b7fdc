package watch

import (
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
)

// task is one federated model.
type task struct {
	name       string
	topics     topics.Owner
	view       TaskView // without its lists
	seq        uint64
	past       bool   // its history has been heard
	pause      string // id of the pause that a resume ends
	waitingFor []string
	said       view.Round // what the aggregator says: the task's origin, who is waited for, who is not asked
	skew       int64      // this machine's clock less the aggregator's, and the least delay
	skewKnown  bool
	deadline   int64 // of a round, the last that was seen, in milliseconds
	half       int64 // when half of the cohort was accepted, 0 before
	rounds     []*round
	events     []EventView
	kpis       kpis
	chain      chain
}

// task returns a task, new if there is room.
func (f *Federation) task(name string) (*task, error) {
	if t := f.tasks[name]; t != nil {
		return t, nil
	}
	if len(f.tasks) >= MaxTasks {
		return nil, errCrowded
	}
	o, err := f.cfg.Namespace.Owner(f.cfg.Owner, name)
	if err != nil {
		return nil, err
	}
	t := &task{name: name, topics: o, view: TaskView{Name: name}, seq: f.touch()}
	f.tasks[name] = t
	at, _ := slices.BinarySearchFunc(f.order, name, func(t *task, n string) int { return strings.Compare(t.name, n) })
	f.order = slices.Insert(f.order, at, t)
	return t, nil
}

// mostDeadline bounds what a round may claim: 40 days.
const mostDeadline = 40 * 24 * 3600 * 1000

// round takes the view of the current round in.
func (f *Federation) round(t *task, m Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	var r view.Round
	if err := read(m.Payload, &r, &r.Schema, view.RoundSchema); err != nil {
		return err
	}
	if skew := f.now - r.TimestampMS; !t.skewKnown || m.Live && skew < t.skew {
		t.skew, t.skewKnown = skew, m.Live
	}
	v := &t.view
	if v.Round != r.Round || v.Attempt != uint64(r.Attempt) {
		t.half = 0
	}
	if t.half == 0 && r.Cohort > 0 && 2*r.Accepted >= r.Cohort {
		t.half = f.now
	}
	t.pause = clip(r.Pause, maxText)
	*v = TaskView{
		Name: t.name, Epoch: r.Epoch, Round: r.Round, Attempt: uint64(r.Attempt),
		Phase: clip(string(r.Phase), maxWord), Work: clip(r.Work, maxWord), TrainRounds: r.TrainRounds, Reason: clip(r.Reason, maxText),
		Version: r.Version, Model: clip(r.Model, 64), Members: r.Members, Cohort: r.Cohort, Accepted: r.Accepted, Quorum: r.Quorum,
		Refusals: clipNames(r.Refusals), Security: clip(r.Security, maxWord), HeardMS: f.now,
	}
	if r.Released != nil {
		v.Released = r.Released.Version
	}
	v.Canary = canaryOf(r)
	if r.Candidate != nil {
		v.Candidate = r.Candidate.Version
	}
	if b := r.Best; b != nil {
		v.Best = &BestView{b.Version, clip(b.Metric, maxName), b.Value}
	}
	if l := r.Last; l.Verdict == record.Abandoned && l.Round == r.Round {
		v.Abandoned = &AbandonedView{Attempt: uint64(l.Attempt), Reason: clip(l.Reason, maxText), Kept: l.Kept, Members: l.Members}
	}
	t.waits(r)
	if r.OpenedMS > 0 && v.Phase == "open" {
		v.OpenedMS = t.here(r.OpenedMS)
		t.deadline = int64(min(r.DeadlineMS, mostDeadline))
		v.DeadlineMS = v.OpenedMS + t.deadline
	}
	t.waitingFor = t.waitingFor[:0]
	for _, p := range r.WaitingFor[:min(len(r.WaitingFor), maxWaiting)] {
		if topics.CheckPath(p) == nil {
			t.waitingFor = append(t.waitingFor, p)
		}
	}
	v.WaitingFor = slices.Clone(t.waitingFor)
	for _, c := range r.Contested[:min(len(r.Contested), maxWaiting)] {
		if topics.CheckPath(c.Member) == nil {
			c.Hosts[0], c.Hosts[1] = clip(c.Hosts[0], maxName), clip(c.Hosts[1], maxName)
			v.Contested = append(v.Contested, ContestView(c))
		}
	}
	t.seq = f.touch()
	f.last(t, r.Last)
	f.judgeAll(t)
	return nil
}

// event takes one fact in.
func (f *Federation) event(t *task, m Message) error {
	var e eventJSON
	if err := read(m.Payload, &e, &e.Schema, view.EventSchema); err != nil {
		return err
	}
	v := EventView{
		TimeMS: f.now, Kind: clip(string(e.Event.Event), maxWord), Round: e.Round, Attempt: uint64(e.Attempt), Work: clip(e.Work, maxWord),
		Member: clip(e.Member, topics.MaxNode), Reason: clip(e.Reason, maxWord), Detail: clip(e.Detail, maxText), Count: e.Count,
		Counts: clipNames(e.Counts),
	}
	t.seq = f.touch()
	v.ID = t.seq
	t.events = append(t.events, v)
	if len(t.events) > MaxEvents {
		t.events = slices.Delete(t.events, 0, len(t.events)-MaxEvents)
	}
	f.advance(t, v)
	if topics.CheckPath(e.Member) == nil {
		f.told(t, v)
	}
	return nil
}

// advance lets the round go on as events say: its view comes once a second at
// most, and replaces all of this.
func (f *Federation) advance(t *task, e EventView) {
	v := &t.view
	switch {
	case e.Kind == "opened" && (e.Round > v.Round || e.Round == v.Round && e.Attempt > v.Attempt):
		t.half, t.waitingFor, v.WaitingFor = 0, nil, nil
		v.Round, v.Attempt, v.Phase, v.Reason = e.Round, e.Attempt, "open", ""
		t.said.Waiting, v.Abandoned = nil, nil
		v.Work, v.Cohort, v.Accepted, v.OpenedMS, v.DeadlineMS = e.Work, e.Count, 0, f.now, 0
		if t.deadline > 0 {
			v.DeadlineMS = f.now + t.deadline
		}
		f.judgeAll(t)
	case e.Kind == "accepted" && e.Round == v.Round && e.Attempt == v.Attempt && e.Count > v.Accepted:
		v.Accepted = e.Count
	}
}

// judgeAll looks at every site of a task anew.
func (f *Federation) judgeAll(t *task) {
	for _, s := range f.list {
		if s.task == t {
			f.judge(s)
		}
	}
}
