package site

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
)

// state makes the message that the site is there, or that it leaves.
func (s *site) state(online bool) link.Message {
	return s.presence(State{Online: online, TimestampMS: s.now(), Connection: s.connection})
}

// will makes the Last Will of the next connection.
func (s *site) will() link.Message {
	return s.presence(State{Will: true, TimestampMS: s.birth, Connection: s.connection + 1})
}

// presence fills in what stays the same.
func (s *site) presence(p State) link.Message {
	p.Schema, p.BirthMS, p.Instance = StateSchema, s.birth, s.instance.String()
	p.Roles, p.Agent, p.Tasks = []string{"site"}, s.cfg.Agent, s.names
	p.Security, p.Insecure = s.cfg.security(), s.cfg.TLS != nil && s.cfg.TLS.InsecureSkipVerify
	return jsonMessage(s.stateTopic, 1, p)
}

// publishStatus publishes the status of a task: QoS 1 for a new phase, 0 for
// progress and heartbeats (S-16).
func (s *site) publishStatus(t *task, qos byte) {
	v := t.view
	st := Status{
		Schema: StatusSchema, TimestampMS: s.now(), Phase: v.Phase, Round: v.Round, Attempt: v.Attempt,
		Samples: t.samples, Data: t.data, Message: clip(v.Message), Error: clip(v.Error), Warning: clip(t.warning()), Metrics: t.metrics,
		Personal: t.personal(),
	}
	for _, s := range []string{t.denied, t.trouble, t.lost, t.unheard} {
		if st.Error == "" {
			st.Error = clip(s)
		}
	}
	if done, total := t.advance(); total > 0 {
		p := min(max(math.Round(1000*float64(done)/float64(total))/1000, 0), 1)
		st.Progress = &p
	}
	if len(link.Addresses(s.cfg.Broker)) > 1 {
		st.Broker = s.conn.Broker()
	}
	s.conn.Post(jsonMessage(t.member.Status(), qos, st))
	t.published = s.now()
	t.pace = min(max(t.pace, t.published)+progressEvery, t.published+statusBurst*progressEvery)
	t.beat = t.published + s.heartbeat(t)
	t.progress, t.changed = false, false
}

// warning is what is not as it was meant to be.
func (t *task) warning() string {
	list := slices.Clone(t.odd)
	if c := t.caution.Load(); c != nil && *c != "" {
		list = append(list, *c)
	}
	if t.note != "" {
		list = append(list, t.note)
	}
	return strings.Join(list, "; ")
}

// progressEvery is the least time between two statuses of progress.
const progressEvery ms = 1_000

// statusBurst is how many statuses may follow each other at once. Beyond it there is
// one in progressEvery, the newest: rounds that are shorter than a person can read
// would else be made of statuses.
const statusBurst = 16

// shownAt is when a new phase may be shown: an error at once.
func (t *task) shownAt() ms {
	if t.view.Phase == PhaseError || t.view.Error != "" {
		return 0
	}
	return t.pace - (statusBurst-1)*progressEvery
}

// Bounds of the heartbeat of an order, which an unsigned one could make
// anything.
const (
	leastBeat ms = 10_000
	mostBeat  ms = 3_600_000
	usualBeat ms = 30_000
)

// heartbeat draws the time to the next status without news, +-20 %.
func (s *site) heartbeat(t *task) ms {
	beat := t.view.Heartbeat
	if beat == 0 {
		beat = usualBeat
	}
	beat = min(max(beat, leastBeat), mostBeat)
	return beat - beat/5 + s.rand.Int64N(2*(beat/5)+1)
}

// beatState publishes the presence and sets its next time.
func (s *site) beatState() {
	s.conn.Post(s.state(true))
	s.stateBeat = s.now() + s.heartbeat(s.tasks[0])
}

// show puts what the driver knows into the monitor.
func (s *site) show() {
	m := s.cfg.Monitor
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn, m.ready, m.bad = s.conn, s.online, s.bad
	m.tasks = m.tasks[:0]
	for _, t := range s.tasks {
		v := t.stats()
		m.tasks = append(m.tasks, v)
		m.ready = m.ready && v.Welcomed
	}
}

// stats are the task's numbers.
func (t *task) stats() TaskStats {
	n := &t.tally
	v := TaskStats{
		Task: t.Name, Phase: t.view.Phase, Round: t.view.Round, Attempt: t.view.Attempt, Welcomed: t.m.Welcomed(), Unheard: t.unheard, Samples: t.samples, Metrics: t.metrics,
		Jobs: n.jobs, TrainSeconds: float64(n.took) / 1000, Failed: maps.Clone(n.failed), Refused: maps.Clone(n.refused),
	}
	if done, total := t.advance(); total > 0 {
		v.Progress = min(max(float64(done)/float64(total), 0), 1)
	}
	return v
}
