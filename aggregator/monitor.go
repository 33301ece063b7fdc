package aggregator

import (
	"maps"
	"sync"

	"github.com/fedmq/fedmq/internal/link"
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

	Metrics map[string]float64 // of the last model that was measured
	Guess   map[string]float64 // what the best constant guess has over the same rows

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
