package round

// Machine is the round machine of one task. It is not safe for concurrent use.
type Machine struct {
	cfg Config
	s   State
}

// New returns a machine at rest, for Started to begin with. A nil st is a task
// that never ran; journal is what was appended since the last DropJournal.
// The settings must pass Validate.
func New(cfg Config, st *State, journal []Verdict) *Machine { return &Machine{cfg: cfg.withDefaults()} }

// Step takes one event in.
func (m *Machine) Step(ev Event) {}

// Ready returns what is owed since the last Ready.
func (m *Machine) Ready() Ready { return Ready{} }

// State returns a copy of the current state.
func (m *Machine) State() *State { return m.s.clone() }
