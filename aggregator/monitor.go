package aggregator

import (
	"maps"
	"sync"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// Monitor shows a running aggregator to other goroutines. Put a pointer to the
// zero value into Config.Monitor, and ask for Stats at any time.
type Monitor struct {
	mu    sync.Mutex
	conn  *link.Conn
	tasks []TaskStats
	ready bool
}

// Link is the counters of the connection to the broker, and its state.
type Link = link.Stats

// Stats are the numbers of an aggregator at one moment.
type Stats struct {
	Link  Link
	Ready bool // the broker grants every subscription, and the own presence came back over them
	Tasks []TaskStats
}

// TaskStats are the numbers of one task. What is counted is counted since the
// process loaded the task; its records count for longer.
type TaskStats struct {
	Task    string
	Epoch   uint64
	Round   uint64
	Attempt uint32
	Version uint64 // of the base model
	Phase   string // idle, waiting, open, closing or halted

	Members  int // welcomed
	Cohort   int // asked in the open attempt; 0 when none is open
	Accepted int // of these

	Committed, Abandoned uint64            // attempts that have a record, by what became of them
	RoundSeconds         float64           // of all of these together, from open to closed or committed
	Refused              map[string]uint64 // messages refused, by the reasons of the protocol
	BytesUp, BytesDown   uint64            // MQTT payloads received of members and published for them

	Contested int // members that two processes claim

	NeedBytes uint64 // of model parts published again because members asked

	UploadsRunning, UploadsWaiting int // updates that come in parts: with a staging place, and without

	ExportErrors uint64 // records that are in state.db and could not be written to records/
}

// Stats returns the numbers now; before Run has connected only zeros.
func (m *Monitor) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{Ready: m.ready}
	if m.conn != nil {
		s.Link = m.conn.Stats()
	}
	s.Ready = s.Ready && s.Link.Up && len(s.Link.Denied) == 0
	for _, t := range m.tasks {
		t.Refused = maps.Clone(t.Refused)
		s.Tasks = append(s.Tasks, t)
	}
	return s
}

// show puts what the driver knows into the monitor.
func (a *aggregator) show() {
	m := a.cfg.Monitor
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn, m.ready = a.conn, a.machine.Started() && a.up && !a.machine.Deaf()
	m.tasks = m.tasks[:0]
	for _, t := range a.order {
		m.tasks = append(m.tasks, t.stats())
	}
}

// stats are the task's numbers.
func (t *task) stats() TaskStats {
	s, n := t.state, &t.tally
	v := TaskStats{
		Task: t.cfg.Name, Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt, Version: s.Version, Phase: string(s.Phase),
		Members: t.m.Round().Welcomed(), Committed: n.committed, Abandoned: n.abandoned, RoundSeconds: n.seconds, Refused: maps.Clone(n.refused),
		BytesUp: n.up, BytesDown: n.down, ExportErrors: t.keeping.failures,
		Contested: len(t.m.Round().Contests()), NeedBytes: n.needed,
	}
	if s.Phase == round.Open {
		v.Cohort, v.Accepted = len(s.Cohort), len(t.sum.in)
	}
	for _, up := range t.m.Uploads() {
		if up.Running {
			v.UploadsRunning++
		} else {
			v.UploadsWaiting++
		}
	}
	return v
}
