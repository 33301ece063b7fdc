package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"github.com/fedmq/fedmq/internal/bench"
)

type benchCmd struct {
	Round benchRoundCmd `cmd:"" help:"Run a whole federation on synthetic updates: time, CPU, memory and traffic of a round, and whether it is exact."`
	Scale benchScaleCmd `cmd:"" help:"Rounds of federations of many sizes: does what a round costs grow faster than its bytes?"`
	Fold  benchFoldCmd  `cmd:"" help:"Speed of averaging: check, add and result."`
	Codec benchCodecCmd `cmd:"" help:"Speed of the wire format: encode, hash, decode, zstd."`
	Peer  benchPeerCmd  `cmd:"" hidden:"" help:"One party of a bench round, told on standard input what to be."`
}

type benchRoundCmd struct {
	Params    int     `default:"100000" help:"Parameters of the model, f32."`
	Sites     int     `default:"10" help:"Sites, each with its own connection."`
	Rounds    int     `default:"5" help:"Rounds that are measured, after one that is not."`
	Processes bool    `help:"Run broker, aggregator and every site as processes of their own: memory and CPU by role."`
	Broker    string  `placeholder:"tcp://HOST:PORT" help:"Broker to use instead of the embedded one; what it retains below fedmq-bench/ stays."`
	PartSize  int     `default:"129024" help:"Largest MQTT payload in bytes (part_size)."`
	Seed      uint64  `default:"1" help:"Seed of the updates: the same seed gives the same models."`
	Changed   float64 `default:"1" help:"Share of the parameters that change; the others are as layers that are not trained."`
	Dir       string  `help:"Where the run's directory is made, and removed at the end; default: the system's directory for temporary files."`
	Strategy  string  `placeholder:"NAME[,KEY=VALUE]" help:"Strategy of the task, with its parameters: median, or multi_krum,f=5; default: fedavg."`
	Trace     bool    `help:"Note when each message passes, and print when a round's steps are; costs some time."`
	Profile   string  `placeholder:"DIR" help:"Existing directory for CPU and heap profiles of every process (go tool pprof)."`
	JSON      bool    `help:"Print one JSON object."`
}

func (benchRoundCmd) Help() string {
	return `Sites, an aggregator and a broker with data directories, as their commands run them, and
a trainer that adds seeded noise, another for each site and round, to every parameter.

  round_s_*           seconds from one round's record on disk to the next one's: publish the
                      model and the order, fetch, train, send, check, fold, commit
  cpu_s_per_round     user and system seconds of all processes in that time
  rss_mb              peak of resident memory, MB = 10^6 bytes; of the sites the largest
  wire_mb_per_round   bytes through the sockets of aggregator and sites, both directions:
                      what the broker receives and sends, MQTT and all
  up_mb_per_round     bytes that the sites send, of them all; down_mb_per_round: that they
                      receive; full_mb_per_round: of all updates, or all models, were they
                      to travel whole
  floor_s             the payloads of a round through a plain TCP relay, hashed at both ends
                      and folded once, by as many processes: what a round cannot beat; it
                      takes turns with the rounds
  wall_over_floor     round_s_median in floor_s; cpu_over_floor: cpu_s_per_round in floor_cpu_s
  max_abs_err         largest distance of a parameter of the last model from the exact mean,
                      summed as integers; 0: not one bit was lost in any round; null for
                      other strategies than fedavg: rounds_made_again says that each round
                      was made again from its record and the updates, to the same bits
  close_s_median      of a round, from the accepted updates to the next model and its record
  train_s_median      seconds a site trains, which are in round_s too

The first round is for warming up: no figure but rss_mb has it. The round after a turn of the
floor is not in round_s. Without --processes memory
and CPU are those of the one process. Read docs/ref/bench.md before comparing figures.`
}

func (c *benchRoundCmd) Run(ctx context.Context, logs *logFlags) error {
	r := benchOf(logs)
	r.Params, r.Sites, r.Rounds, r.Processes, r.Broker, r.PartSize = c.Params, c.Sites, c.Rounds, c.Processes, c.Broker, c.PartSize
	r.Seed, r.Changed, r.Dir, r.Profile = c.Seed, c.Changed, c.Dir, c.Profile
	r.Trace = c.Trace
	if c.Strategy != "" {
		var err error
		if r.Strategy, err = bench.ParseFolding(c.Strategy); err != nil {
			return usageError{fmt.Errorf("--strategy %w", err)}
		}
	}
	if err := r.Check(); err != nil {
		return usageError{err}
	}
	res, err := r.Run(ctx)
	if err != nil {
		return err
	}
	res.Versions = thisMachine()
	if err := printed(res, c.JSON); err != nil {
		return err
	}
	if res.Error != nil && *res.Error != 0 {
		return fmt.Errorf("the last model is not the exact mean: off by up to %g", *res.Error)
	}
	return nil
}

type benchFoldCmd struct {
	Params  int  `default:"1000000" help:"Parameters of the model, f32."`
	Members int  `default:"10" help:"Updates in the sum."`
	JSON    bool `help:"Print one JSON object."`

	Strategy []string `sep:"none" placeholder:"NAME[,KEY=VALUE]" help:"Time also a strategy that reads all updates at the end of a round, with its parameters: median, or multi_krum,f=5. May be repeated."`
	Dir      string   `help:"With --strategy: where the updates' files are made, and removed at the end; default: the system's directory for temporary files."`
}

func (benchFoldCmd) Help() string {
	return `FedAvg as the aggregator does it, on all processors, without a network. GB/s are of float32
read: members times the model for check and add, the model for result. Each line is the
median of 7, or of as many as 20 seconds take.

  fedmq bench fold --params 10000000 --members 50 --strategy median --strategy krum,f=5

prints a line more for each strategy: from the updates in their files to the next model. GB/s
are then of all updates. memory is the peak of the process.`
}

func (c *benchFoldCmd) Run(ctx context.Context) error {
	if err := bench.CheckFold(c.Params, c.Members); err != nil {
		return usageError{err}
	}
	var others []bench.Folding
	for _, text := range c.Strategy {
		f, err := bench.ParseFolding(text)
		if err != nil {
			return usageError{fmt.Errorf("--strategy %w", err)}
		}
		others = append(others, f)
	}
	k, err := bench.Fold(ctx, c.Params, c.Members, c.Dir, others)
	return kernels(k, err, c.JSON)
}

type benchCodecCmd struct {
	Params int  `default:"30000" help:"Parameters of the update, f32; it travels in one message, so at most about 1,000,000."`
	JSON   bool `help:"Print one JSON object."`
}

func (benchCodecCmd) Help() string {
	return `An update to and from its message, on one processor: encode and decode the body, seal and
open the envelope (its hash included), with and without zstd, and SHA-256 alone to compare. Decoding does not
copy the values, so its GB/s say how little it does.
Each line is the median of 7.`
}

func (c *benchCodecCmd) Run(ctx context.Context) error {
	if err := bench.CheckCodec(c.Params); err != nil {
		return usageError{err}
	}
	k, err := bench.Codec(ctx, c.Params)
	return kernels(k, err, c.JSON)
}

// kernels shows what was measured.
func kernels(k *bench.Kernels, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	k.Versions = thisMachine()
	return printed(k, asJSON)
}

// benchPeerCmd is one party of a bench round in a process of its own.
type benchPeerCmd struct{}

// Run serves until standard input ends: the party ends with its parent, also
// when a terminal interrupts both.
func (benchPeerCmd) Run(ctx context.Context, logs *logFlags) error {
	signal.Ignore(os.Interrupt)
	return bench.RunPeer(ctx, os.Stdin, stdout, logs.logger(), limitMemory)
}

// benchMachine says on what figures were taken.
type benchMachine struct {
	versionInfo
	CPUs int `json:"cpus"` // that Go uses
}

func thisMachine() benchMachine { return benchMachine{currentVersion(), runtime.GOMAXPROCS(0)} }

// printed prints a result for people, or as one JSON object on one line.
func printed(r interface{ Print(io.Writer) }, asJSON bool) error {
	if !asJSON {
		r.Print(stdout)
		return nil
	}
	return printJSON(r)
}

// printJSON prints one object on one line.
func printJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(b))
	return err
}
