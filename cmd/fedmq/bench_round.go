package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

type benchRoundCmd struct {
	Params    int    `default:"100000" help:"Parameters of the model, f32."`
	Sites     int    `default:"10" help:"Sites, each with its own connection."`
	Rounds    int    `default:"5" help:"Rounds that are measured, after one that is not."`
	Processes bool   `help:"Run broker, aggregator and every site as processes of their own: memory and CPU by role."`
	Broker    string `placeholder:"tcp://HOST:PORT" help:"Broker to use instead of the embedded one; what it retains below fedmq-bench/ stays."`
	PartSize  int    `default:"129024" help:"Largest MQTT payload in bytes (part_size)."`
	Seed      uint64 `default:"1" help:"Seed of the updates: the same seed gives the same models."`
	Dir       string `help:"Where the run's directory is made, and removed at the end; default: the system's directory for temporary files."`
	Profile   string `placeholder:"DIR" help:"Existing directory for CPU and heap profiles of every process (go tool pprof)."`
	JSON      bool   `help:"Print one JSON object."`
}

// benchWarmUp is the number of rounds before those that are measured.
const benchWarmUp = 1

func (benchRoundCmd) Help() string {
	return `Sites, an aggregator and a broker with data directories, as their commands run them, and
a trainer that adds seeded noise, another for each site and round, to every parameter.

  round_s_*           seconds from one round's record on disk to the next one's: publish the
                      model and the order, fetch, train, send, check, fold, commit
  cpu_s_per_round     user and system seconds of all processes in that time
  rss_mb              peak of resident memory, MB = 10^6 bytes; of the sites the largest
  wire_mb_per_round   bytes through the sockets of aggregator and sites, both directions:
                      what the broker receives and sends, MQTT and all
  floor_s             the payloads of a round through a plain TCP relay, hashed at both ends
                      and folded once, by as many processes: what a round cannot beat
  max_abs_err         largest distance of a parameter of the last model from the exact mean,
                      summed as integers; 0: not one bit was lost in any round
  train_s_median      seconds a site trains, which are in round_s too

The first round is for warming up: no figure but rss_mb has it. Without --processes memory
and CPU are those of the one process. Read docs/ref/bench.md before comparing figures.`
}

// benchResult is the JSON object of a run.
type benchResult struct {
	Params    int          `json:"params"`
	Sites     int          `json:"sites"`
	Rounds    int          `json:"rounds"`
	WarmUp    int          `json:"warmup_rounds"`
	Committed int          `json:"rounds_committed"` // of the measured ones
	PartSize  int          `json:"part_size"`
	Seed      uint64       `json:"seed"`
	Processes bool         `json:"processes"`
	Broker    string       `json:"broker"` // embedded or external
	Median    float64      `json:"round_s_median"`
	Min       float64      `json:"round_s_min"`
	Max       float64      `json:"round_s_max"`
	Floor     float64      `json:"floor_s"`
	Train     float64      `json:"train_s_median"`
	CPU       float64      `json:"cpu_s_per_round"`
	CPUByRole *benchByRole `json:"cpu_s_by_role"` // null without processes
	RSS       benchByRole  `json:"rss_mb"`
	Wire      float64      `json:"wire_mb_per_round"`
	Error     float64      `json:"max_abs_err"`
	Model     string       `json:"model_sha256"`
	Versions  benchMachine `json:"versions"`
}

// benchByRole is a figure for each role, null where it is not known: of an
// external broker, and of all without processes, where Process has the sum.
type benchByRole struct {
	Aggregator *float64 `json:"aggregator"`
	Broker     *float64 `json:"broker"`
	Site       *float64 `json:"site"`
	Process    *float64 `json:"process,omitempty"`
}

func (c *benchRoundCmd) check() error {
	switch {
	case c.Params < 1 || c.Params > 1<<30:
		return fmt.Errorf("--params %d: want 1 to 2^30", c.Params)
	case c.Sites < 1 || c.Sites > 1<<14:
		return fmt.Errorf("--sites %d: want 1 to 16384", c.Sites)
	case c.Rounds < 1:
		return fmt.Errorf("--rounds %d: want 1 or more", c.Rounds)
	case c.Broker != "":
		return checkBroker(c.Broker)
	}
	return nil
}

func (c *benchRoundCmd) Run(ctx context.Context, logs *logFlags) (err error) {
	if err := c.check(); err != nil {
		return usageError{err}
	}
	dir, err := os.MkdirTemp(c.Dir, "fedmq-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop := func() error { return nil }
	if !c.Processes {
		if stop, err = startProfile(c.Profile, "process"); err != nil {
			return err
		}
	}
	res, err := c.measure(ctx, dir, logs)
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	if err := c.report(res); err != nil {
		return err
	}
	if res.Error != 0 {
		return fmt.Errorf("the last model is not the exact mean: off by up to %g", res.Error)
	}
	return nil
}

func (c *benchRoundCmd) measure(ctx context.Context, dir string, logs *logFlags) (*benchResult, error) {
	run := &benchRun{benchRoundCmd: *c, dir: dir, talk: io.Discard}
	if terminal(os.Stderr) {
		run.talk = os.Stderr
	}
	crew := newCrew(dir, c.Profile, c.Processes, logs)
	err := run.federate(ctx, crew)
	if err = errors.Join(err, crew.end()); err != nil {
		return nil, err
	}
	res := run.result()
	if res.Error, err = run.verify(); err != nil {
		return nil, err
	}
	res.Floor, err = run.floor(ctx, newCrew(dir, c.Profile, c.Processes, logs))
	return res, err
}

// verify compares the last model with the exact mean.
func (r *benchRun) verify() (float64, error) {
	last := r.records[len(r.records)-1]
	if len(last.Model) != 2*sha256.Size {
		return 0, fmt.Errorf("round %d has no model", last.Round)
	}
	blob, err := os.ReadFile(filepath.Join(r.dir, "aggregator", "blobs", last.Model[:2], last.Model))
	if err != nil {
		return 0, err
	}
	if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != last.Model || len(blob) != 4*r.Params {
		return 0, fmt.Errorf("the model of round %d is not what its record names", last.Round)
	}
	return newBenchSeries(r.Seed, r.Sites).errorOf(blob, last.Round)
}

// median of a sorted list; 0 of none.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// result is what the run says but for the error and the floor.
func (r *benchRun) result() *benchResult {
	times := r.times()
	slices.Sort(times)
	last := r.records[len(r.records)-1]
	res := &benchResult{
		Params: r.Params, Sites: r.Sites, Rounds: r.Rounds, WarmUp: benchWarmUp, Committed: len(times), PartSize: r.PartSize,
		Seed: r.Seed, Processes: r.Processes, Broker: "embedded", Median: median(times), Min: times[0], Max: times[len(times)-1],
		Model: last.Model, Versions: thisMachine(),
	}
	if r.Broker != "" {
		res.Broker = "external"
	}
	r.addUsage(res)
	return res
}
