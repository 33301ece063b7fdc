package aggregator

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Config says what one aggregator does. The zero value of a field is its
// default; the fields without a default are named by Validate when missing.
type Config struct {
	Broker    string // URL: tcp://host:1883, tls://host:8883, ws://host/path, wss://host/path; required
	Namespace string // enterprise prefix of the UNS, for example "acme"; required
	Owner     string // node that owns the tasks: a path below the namespace; "" is the namespace itself
	DataDir   string // directory of state, records and models; made when missing; required
	Bulk      string // root beside the namespace below which updates and models travel (T-21); default: the namespace

	Username, Password string      // MQTT credentials
	ClientID           string      // default: of the user and the node (C-14)
	TLS                *tls.Config // for tls and wss brokers; nil: the system's roots
	Headers            http.Header // of the request for a WebSocket; default none

	Signer *wire.Signer // signs what the aggregator says; nil: unsigned
	Keys   []wire.Key   // of the members; required with Signer

	PartSize int    // largest MQTT payload in bytes, wire.MinPart to wire.MaxPart; default 126 KiB
	Tasks    []Task // at least one

	StageMemory int // bytes of memory for updates that arrive in parts, of all tasks together, 1 and up; default 40 MiB. Beyond it they lie in files
	Uploads     int // updates that arrive in parts at once, 1 to 4096; default 64. Others wait

	// AdoptEpoch is an operator's decision for one start: a task whose data
	// directory is an older copy goes on above what the broker and the members
	// have seen, instead of stopping with ErrBehind. What the copy lacks is lost.
	AdoptEpoch bool

	Log  zerolog.Logger                              // default: silent
	Now  func() time.Time                            // default: time.Now
	Dial func(ctx context.Context) (net.Conn, error) // replaces the network connection, for tests and in-process brokers
	Rand func([]byte)                                // default: crypto/rand

	Strategies strategy.Registry // strategies of this program's own, beside fedmq's; replay.Config wants the same

	// OnRecord is called from the driver's goroutine, which it must not hold up,
	// with every record that has become durable.
	OnRecord func(task string, r record.Record)
	// OnEnd is called likewise, once a task: finished, or stopped with a reason.
	OnEnd func(task string, finished bool, reason string)
	// Audit is called likewise with what an auditor asks about, after it has
	// become durable: commands, members and keys, rounds, models.
	Audit func(Audited)
	// Monitor, if not nil, shows the numbers of the run; one for each run.
	Monitor *Monitor
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

	Consumers []string // likewise of nodes that use what is released, whose status people read

	Rounds uint64 // committed rounds of training; 1 and up
	Stop   *Stop  // ends the training before that; nil: nothing does

	StartWhen int           // members welcomed before the first order; default: Quorum
	JoinWait  time.Duration // time for more to join once StartWhen is reached; default 0
	Quorum    int           // accepted updates a commit needs; default 1, and as many as the strategy needs at least
	Goal      int           // accepted updates that close the round early; default: the whole cohort
	Deadline  time.Duration // of one attempt; 1 s and up; default 60 s
	Sample    float64       // share of members drawn each attempt, (0, 1]; default 1

	Strategy       string            // default "fedavg"; of Config.Strategies
	StrategyParams strategy.Settings // of the strategy; what is not given has its default
	Server         string            // optimiser that takes the model along the mean update; default "sgd"; of Config.Strategies
	ServerParams   strategy.Settings // likewise

	// Guard stands before the strategy: it refuses monsters and shortens what is too long.
	// nil: strategy.DefaultGuard.
	Guard *strategy.Guard
	// Root trains, for a strategy that wants it, each round's base on rows that are known to
	// be good, before updates are taken; the aggregator does nothing else meanwhile.
	Root trainer.Trainer

	Weights   string // samples | uniform | sqrt; default: samples, of some strategies uniform
	Cap       uint64 // largest weight of one member; 0: CapFactor times the cohort's lower median
	CapFactor uint64 // default 10

	MaxSamples uint64 // most samples that a member may have; more are refused; default 10^9
	GridB      *int   // updates lie within 2^GridB; -16..24; default 6 (algorithms A4)

	// Contract is what the model means by its inputs and its output; a site whose
	// trainer says another is refused. nil: that of the first site which tells its own.
	Contract *pipeline.Contract

	Init       *model.Model        // version 0
	Begun      bool                // Init has the schema alone, as its values are gone: the task must have begun in DataDir
	Locals     model.Locals        // tensors that sites keep for themselves; part of the task for good
	Encoding   string              // of updates: f16, bf16, q8, topk, with zstd or without (docs/spec/encoding.md), or one of Config.Strategies; default dense
	Train      json.RawMessage     // the trainer's settings, a JSON object, passed on verbatim
	Schedule   map[string]Schedule // how numbers of Train change from round to round; default: they do not
	CheckTrain CheckTrain          // what the sites' trainers take; nil: it is not known
	Seed       uint64              // of the task: sites derive theirs from it
	Statistics bool                // federated z-score: begin with a statistics round
	Survey     *Survey             // statistics are all that the task gathers: Init, Contract and what trains are its own then

	Release *Release // which versions are released for use; nil: the one that the task ends with

	Metric    string       // that is shown first; default: macro_f1 where a class is rare, else accuracy, rmse or loss
	Threshold trainer.Rule // how the threshold of a model of two classes is chosen, f1 or recall>=R; default: none is

	Slots int // versions of the model that lie on the broker in parts, 2 to 8; default 2. A site may be so many versions behind in fetching

	KeepUpdates Keep // default none
	KeepModels  int  // newest former versions kept on disk beside the current one; default 10, -1: all. With KeepAll version 0 stays too
}

// Limits of the configuration.
const (
	minPartSize     = wire.MinPart
	maxPartSize     = wire.MaxPart
	defaultPartSize = wire.DefaultPart
	defaultStage    = 40 << 20
	defaultUploads  = 64
	maxUploads      = 1 << 12
	minSlots        = 2 // what sites still fetch stays while the next version goes out
	defaultSlots    = 2
	maxSettings     = 16 << 10
	maxPatterns     = 64
	maxMembers      = 1 << 14 // algorithms A6
	maxDeadline     = 365 * 24 * time.Hour
)

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	setDefault(&c.PartSize, defaultPartSize)
	setDefault(&c.StageMemory, defaultStage)
	setDefault(&c.Uploads, defaultUploads)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ClientID == "" {
		c.ClientID = clientID(c)
	}
	c.Tasks = slices.Clone(c.Tasks)
	for i := range c.Tasks {
		c.Tasks[i] = c.Tasks[i].withDefaults(c.Strategies)
	}
	return c
}

func (t Task) withDefaults(r strategy.Registry) Task {
	setDefault(&t.Quorum, 1)
	setDefault(&t.Strategy, strategy.FedAvg)
	if all, err := r.Settings(t.Strategy, t.StrategyParams); err == nil { // Validate reports it
		t.StrategyParams = all
	}
	if t.Quorum > 0 { // Validate reports it
		t.Quorum = max(t.Quorum, t.minimum(r))
	}
	setDefault(&t.StartWhen, t.Quorum)
	setDefault(&t.Deadline, time.Minute)
	setDefault(&t.Sample, 1)
	setDefault(&t.Server, strategy.SGD)
	setDefault(&t.Encoding, strategy.Dense)
	if t.Guard == nil {
		g := strategy.DefaultGuard()
		t.Guard = &g
	}
	setDefault(&t.CapFactor, 10)
	setDefault(&t.MaxSamples, 1_000_000_000)
	setDefault(&t.Slots, defaultSlots)
	setDefault(&t.KeepUpdates, KeepNone)
	setDefault(&t.KeepModels, 10)
	if takes, err := r.Weightings(t.setup()); err == nil {
		setDefault(&t.Weights, takes[0])
	}
	setDefault(&t.Weights, string(round.WeightSamples))
	if t.Survey != nil {
		t.Survey = t.Survey.withDefaults()
		setDefault(&t.Rounds, 1)
		if first, c, err := t.Survey.First(); err == nil { // Validate reports it
			t.Init, t.Contract = first, c
		}
	}
	t.Init = t.First(r)
	if all, err := r.ServerSettings(t.Server, t.ServerParams); err == nil {
		t.ServerParams = all
	}
	if t.Contract == nil && t.Root != nil {
		t.Contract = trainer.ContractOf(t.Root)
	}
	if t.Stop != nil {
		s := *t.Stop
		setDefault(&s.Patience, 10)
		t.Stop = &s
	}
	if t.Release != nil {
		t.Release = t.Release.withDefaults()
	}
	t.Locals.Share, t.Locals.Keep = inOrder(t.Locals.Share), inOrder(t.Locals.Keep)
	if t.Init != nil && !t.Locals.IsZero() {
		init := *t.Init
		init.Schema, t.Init = t.Locals.Apply(init.Schema), &init
	}
	if len(t.Train) == 0 {
		t.Train = json.RawMessage("{}")
	}
	return t
}

// rooted reports whether the strategy wants Root.
func (t Task) rooted(r strategy.Registry) bool {
	is, err := r.Rooted(t.setup())
	return is && err == nil
}

// minimum is the fewest updates that the strategy takes, 1 for most.
func (t Task) minimum(r strategy.Registry) int {
	if t.Survey != nil {
		if t.Survey.AllowFew {
			return 1
		}
		return fewSites
	}
	n, err := r.MinimumOf(t.Strategy, t.StrategyParams)
	if err != nil {
		return 1
	}
	return n
}

// inOrder is a list as an order has it.
func inOrder(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Audited is one thing that an auditor asks about; docs/howto/audit.md lists
// them.
type Audited = audit.Entry

// clientID names the user and the node (C-14): whoever owns the node is one party.
func clientID(c Config) string {
	node := c.Namespace
	if c.Owner != "" {
		node += "/" + c.Owner
	}
	return link.PartyID(cmp.Or(c.Username, "fedmq"), "aggregator", node)
}

// reach is the aggregator's way to the broker.
func (c Config) reach(log zerolog.Logger) link.Config {
	return link.Config{
		Broker: c.Broker, ClientID: c.ClientID, Username: c.Username, Password: c.Password,
		TLS: c.TLS, Headers: c.Headers, Dial: c.Dial, Log: log,
	}
}
