package aggregator

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator/strategy"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Config says what one aggregator does. The zero value of a field is its
// default; the fields without a default are named by Validate when missing.
type Config struct {
	Broker    string // URL: tcp://host:1883, tls://host:8883, ws://host/path, wss://host/path; required
	Namespace string // enterprise prefix of the UNS, for example "acme"; required
	Owner     string // node that owns the tasks: a path below the namespace; "" is the namespace itself
	DataDir   string // directory of state, records and models; made when missing; required

	Username, Password string      // MQTT credentials
	ClientID           string      // default: Username + ":aggregator", or a path-derived name without user
	TLS                *tls.Config // for tls and wss brokers; nil: the system's roots

	Signer *wire.Signer // signs what the aggregator says; nil: unsigned
	Keys   []wire.Key   // of the members; required with Signer

	PartSize int    // largest MQTT payload in bytes, 4 KiB..4 MiB; default 126 KiB
	Tasks    []Task // at least one

	Log  zerolog.Logger                              // default: silent
	Now  func() time.Time                            // default: time.Now
	Dial func(ctx context.Context) (net.Conn, error) // replaces the network connection, for tests and in-process brokers
	Rand func([]byte)                                // default: crypto/rand

	// OnRecord is called from the driver's goroutine, which it must not hold up,
	// with every record that has become durable.
	OnRecord func(task string, r record.Record)
	// OnEnd is called likewise, once a task: finished, or stopped with a reason.
	OnEnd func(task string, finished bool, reason string)
}

// Keep says which updates stay on disk.
type Keep string

// The values of Task.KeepUpdates.
const (
	KeepNone  Keep = "none"  // default: individual updates are never at rest
	KeepRound Keep = "round" // until the round's record
	KeepAll   Keep = "all"   // for replay by verification
)

// Task is one federated model.
type Task struct {
	Name    string   // [a-z0-9-]{1,64}
	Members []string // UNS filters below the namespace, each of a fixed depth: "+/press-shop/+"
	Rounds  uint64   // training rounds; 1 and up

	StartWhen int           // members welcomed before the first order; default: Quorum
	JoinWait  time.Duration // time for more to join once StartWhen is reached; default 0
	Quorum    int           // accepted updates a commit needs; default 1
	Goal      int           // accepted updates that close the round early; default: the whole cohort
	Deadline  time.Duration // of one attempt; 1 s and up; default 60 s
	Sample    float64       // share of members drawn each attempt, (0, 1]; default 1

	Strategy  string // default "fedavg"
	Weights   string // samples (default) | uniform | sqrt
	Cap       uint64 // largest weight of one member; 0: CapFactor times the cohort's lower median
	CapFactor uint64 // default 10
	GridB     *int   // updates lie within 2^GridB; -16..24; default 6 (algorithms A4)

	Init       *model.Model    // version 0
	Train      json.RawMessage // the trainer's settings, a JSON object, passed on verbatim
	Seed       uint64          // of the task: sites derive theirs from it
	Statistics bool            // federated z-score: begin with a statistics round

	KeepUpdates Keep // default none
	KeepModels  int  // newest committed versions kept on disk, besides the base; default 10, -1: all
}

// Limits of the configuration.
const (
	minPartSize     = 4 << 10
	maxPartSize     = 4 << 20
	defaultPartSize = 126 << 10
	maxSettings     = 16 << 10
	maxMembers      = 1 << 14 // algorithms A6
)

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	if c.PartSize == 0 {
		c.PartSize = defaultPartSize
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ClientID == "" {
		c.ClientID = clientID(c)
	}
	c.Tasks = slices.Clone(c.Tasks)
	for i := range c.Tasks {
		c.Tasks[i] = c.Tasks[i].withDefaults()
	}
	return c
}

func (t Task) withDefaults() Task {
	setDefault(&t.Quorum, 1)
	setDefault(&t.StartWhen, t.Quorum)
	setDefault(&t.Deadline, time.Minute)
	setDefault(&t.Sample, 1)
	setDefault(&t.Strategy, "fedavg")
	setDefault(&t.Weights, "samples")
	setDefault(&t.CapFactor, 10)
	setDefault(&t.KeepUpdates, KeepNone)
	setDefault(&t.KeepModels, 10)
	if len(t.Train) == 0 {
		t.Train = json.RawMessage("{}")
	}
	return t
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Broker == "" && c.Dial == nil {
		bad("broker: missing; want a URL such as tcp://127.0.0.1:1883")
	}
	ns, err := topics.New(c.Namespace)
	if err != nil {
		bad("namespace: %w", err)
	}
	if c.Owner != "" {
		if err := topics.CheckPath(c.Owner); err != nil {
			bad("owner: %w", err)
		}
	}
	if c.DataDir == "" {
		bad("data_dir: missing; want a directory for state and records")
	}
	if (c.Signer != nil) != (len(c.Keys) > 0) {
		bad("keys: want both a signing key and the allow list of the members' keys, or neither")
	}
	if c.PartSize < minPartSize || c.PartSize > maxPartSize {
		bad("part_size: %d, want %d to %d bytes", c.PartSize, minPartSize, maxPartSize)
	}
	if len(c.Tasks) == 0 {
		bad("tasks: none; want at least one")
	}
	seen := map[string]bool{}
	for i, t := range c.Tasks {
		if seen[t.Name] {
			bad("tasks[%d]: name %q stands twice", i, t.Name)
		}
		seen[t.Name] = true
		for _, err := range t.problems(c.PartSize) {
			bad("tasks[%d] (%s): %w", i, t.Name, err)
		}
		if _, err := ns.Owner(c.Owner, t.Name); err != nil && c.Namespace != "" {
			bad("tasks[%d]: %w", i, err)
		}
	}
	return errors.Join(errs...)
}

func (t Task) problems(partSize int) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(t.Members) == 0 {
		bad("members: none; want UNS filters such as \"+/line-1\"")
	}
	for _, m := range t.Members {
		if _, err := topics.ParseMemberFilter(m); err != nil {
			bad("members: %w", err)
		}
	}
	if t.Rounds < 1 {
		bad("rounds: %d, want 1 or more", t.Rounds)
	}
	if t.Quorum < 1 || t.Quorum > maxMembers {
		bad("quorum: %d, want 1 to %d", t.Quorum, maxMembers)
	}
	if t.StartWhen < t.Quorum {
		bad("start_when: %d is below the quorum of %d, so the first round could never commit", t.StartWhen, t.Quorum)
	}
	if t.Goal != 0 && t.Goal < t.Quorum {
		bad("goal: %d is below the quorum of %d", t.Goal, t.Quorum)
	}
	if t.Deadline < time.Second {
		bad("deadline: %s, want 1s or more", t.Deadline)
	}
	if t.JoinWait < 0 {
		bad("join_wait: %s, want 0 or more", t.JoinWait)
	}
	if !(t.Sample > 0 && t.Sample <= 1) {
		bad("sample: %v, want more than 0 and at most 1", t.Sample)
	}
	if _, err := strategy.New(t.Strategy); err != nil {
		bad("strategy: %w", err)
	}
	if !slices.Contains([]string{"samples", "uniform", "sqrt"}, t.Weights) {
		bad("strategy.weights: %q, want samples, uniform or sqrt", t.Weights)
	}
	if t.Cap > round.MaxCap {
		bad("strategy.cap: %d, want at most 2^29", t.Cap)
	}
	if t.GridB != nil && (*t.GridB < round.MinGridB || *t.GridB > round.MaxGridB) {
		bad("strategy.grid_b: %d, want %d to %d", *t.GridB, round.MinGridB, round.MaxGridB)
	}
	if !slices.Contains([]Keep{KeepNone, KeepRound, KeepAll}, t.KeepUpdates) {
		bad("keep_updates: %q, want none, round or all", t.KeepUpdates)
	}
	if t.KeepModels < -1 {
		bad("keep_models: %d, want 1 or more, or -1 for all", t.KeepModels)
	}
	return append(errs, t.payloadProblems(partSize)...)
}

func (t Task) payloadProblems(partSize int) (errs []error) {
	var settings map[string]any
	if err := json.Unmarshal(t.Train, &settings); err != nil || len(t.Train) > maxSettings {
		errs = append(errs, fmt.Errorf("train: want a JSON object of at most %d bytes", maxSettings))
	}
	if t.Init == nil {
		return append(errs, errors.New("model: missing; want mlp, softmax, linear or file"))
	}
	if err := t.Init.Check(); err != nil {
		errs = append(errs, fmt.Errorf("model: %w", err))
	}
	if room := partSize - inlineOverhead(t.Init.Schema); len(t.Init.Blob) > room {
		errs = append(errs, fmt.Errorf("model: %d bytes do not fit one message of part_size %d (%d left beside the table); raise part_size, at most %d",
			len(t.Init.Blob), partSize, room, maxPartSize))
	}
	return errs
}

// inlineOverhead bounds what envelope and tensor table add to a blob.
func inlineOverhead(s model.Schema) int {
	n := 2 << 10
	for _, spec := range s {
		n += len(spec.Name) + 48 + 9*len(spec.Shape)
	}
	return n
}
