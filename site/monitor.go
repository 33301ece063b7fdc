package site

import (
	"maps"
	"sync"

	"github.com/fedmq/fedmq/internal/link"
)

// Monitor shows a running site to other goroutines. Put a pointer to the zero
// value into Config.Monitor, and ask for Stats at any time.
type Monitor struct {
	mu    sync.Mutex
	conn  *link.Conn
	ready bool
	bad   uint64
	other string
	tasks []TaskStats
}

// Link is the counters of the connection to the broker, and its state.
type Link = link.Stats

// Stats are the numbers of a site at one moment.
type Stats struct {
	Link       Link
	Ready      bool   // the broker grants every subscription, and every task's aggregator has welcomed this site
	Standby    string // host of another process that speaks for this member, while this one waits without a connection
	Unverified uint64 // messages that do not open: garbage, other keys, other topics
	Tasks      []TaskStats
}

// TaskStats are the numbers of one task, counted since the process started.
type TaskStats struct {
	Task     string
	Phase    Phase
	Round    uint64
	Attempt  uint32
	Welcomed bool
	Unheard  string  // nobody answers what the site sends, in words; "" all is well
	Progress float64 // 0..1 of what the phase names; 0 when that is not known
	Samples  int     // training rows

	Metrics map[string]float64 // of the last model that was measured here

	Jobs         uint64            // of the trainer that left a result
	Failed       map[string]uint64 // that left none, by the reason of the decline
	TrainSeconds float64           // of all jobs together
	Refused      map[string]uint64 // what the aggregator refused, by the reasons of the protocol
}

// Stats returns the numbers now; before Run has connected only zeros.
func (m *Monitor) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{Ready: m.ready, Unverified: m.bad, Standby: m.other}
	if m.conn != nil {
		s.Link = m.conn.Stats()
	}
	s.Ready = s.Ready && s.Link.Up && len(s.Link.Denied) == 0
	for _, t := range m.tasks {
		t.Failed, t.Refused = maps.Clone(t.Failed), maps.Clone(t.Refused)
		s.Tasks = append(s.Tasks, t)
	}
	return s
}

// stand shows that the site waits for another process on a host, or no longer.
func (m *Monitor) stand(host string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.other = host
}

// tally is what a task counts for its Stats.
type tally struct {
	jobs            uint64
	took            ms
	failed, refused map[string]uint64
}

// job counts a job that ran for so long; reason says why it left nothing.
func (t *tally) job(took ms, reason string) {
	t.took += took
	if reason == "" {
		t.jobs++
		return
	}
	t.failed = counted(t.failed, reason)
}

func (t *tally) refusal(reason string) { t.refused = counted(t.refused, reason) }

// counted adds one; a peer's reasons beyond maxReasons count as other.
func counted(m map[string]uint64, reason string) map[string]uint64 {
	if m == nil {
		m = map[string]uint64{}
	}
	if _, known := m[reason]; !known && len(m) >= maxReasons {
		reason = "other"
	}
	m[reason]++
	return m
}

// maxReasons bounds what an aggregator can make a site count.
const maxReasons = 32
