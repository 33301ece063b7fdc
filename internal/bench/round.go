package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Round says what is measured.
type Round struct {
	Params    int     // of the model, f32
	Sites     int     // each with its own connection
	Rounds    int     // that are measured, after warmUp that are not
	Processes bool    // broker, aggregator and every site are processes of their own
	Broker    string  // tcp://host:port; "" for the embedded one
	PartSize  int     // largest MQTT payload in bytes
	Seed      uint64  // of the updates
	Changed   float64 // share of the parameters that change, above 0; 1: all
	Dir       string  // where the run's directory is made, and removed at the end; "" for the system's
	Strategy  Folding // of the task; none: FedAvg
	Trace     bool    // note when each message passes
	Profile   string  // existing directory for CPU and heap profiles; "" for none

	Log  zerolog.Logger // of parties in this process
	Peer []string       // arguments with which this program calls RunPeer, for Processes
	Talk io.Writer      // progress, for people
}

// warmUp is the number of rounds before those that are measured.
const warmUp = 1

// Result is the JSON object of a run.
type Result struct {
	Params    int       `json:"params"`
	Sites     int       `json:"sites"`
	Rounds    int       `json:"rounds"`
	WarmUp    int       `json:"warmup_rounds"`
	Committed int       `json:"rounds_committed"` // of the measured ones
	Strategy  string    `json:"strategy"`
	PartSize  int       `json:"part_size"`
	Seed      uint64    `json:"seed"`
	Processes bool      `json:"processes"`
	Broker    string    `json:"broker"` // embedded or external
	Median    float64   `json:"round_s_median"`
	Min       float64   `json:"round_s_min"`
	Max       float64   `json:"round_s_max"`
	Times     []float64 `json:"rounds_s"` // as they came
	Floor     float64   `json:"floor_s"`  // median
	Laps      []float64 `json:"laps_s"`   // of the floor, as they came
	FloorCPU  float64   `json:"floor_cpu_s"`
	WallOver  float64   `json:"wall_over_floor"`
	CPUOver   float64   `json:"cpu_over_floor"`
	Train     float64   `json:"train_s_median"`
	Close     float64   `json:"close_s_median"` // from the accepted updates to the next model and its record, of milliseconds
	CPU       float64   `json:"cpu_s_per_round"`
	CPUByRole *ByRole   `json:"cpu_s_by_role"` // null without processes
	RSS       ByRole    `json:"rss_mb"`
	FloorRSS  *ByRole   `json:"floor_rss_mb"` // of relay, folder and senders; null without processes
	Wire      float64   `json:"wire_mb_per_round"`
	Error     *float64  `json:"max_abs_err"`                 // null for strategies beside FedAvg
	Again     int       `json:"rounds_made_again,omitempty"` // for these: to the same bits, from the updates of the seed
	Model     string    `json:"model_id"`
	Changed   float64   `json:"changed"`
	Up        float64   `json:"up_mb_per_round"`   // from all sites
	Down      float64   `json:"down_mb_per_round"` // to them
	Full      float64   `json:"full_mb_per_round"` // all updates, or all models, whole
	Trace     []Hop     `json:"trace,omitempty"`
	Versions  any       `json:"versions"` // of the program and the machine, as the caller knows them
}

// ByRole is a figure for each role, null where it is not known: of an
// external broker, and of all without processes, where Process has the sum.
type ByRole struct {
	Aggregator *float64 `json:"aggregator"`
	Broker     *float64 `json:"broker"`
	Site       *float64 `json:"site"`
	Process    *float64 `json:"process,omitempty"`
}

// Check says what cannot be measured.
func (r *Round) Check() error {
	switch {
	case r.Params < 1 || r.Params > 1<<30:
		return fmt.Errorf("--params %d: want 1 to 2^30", r.Params)
	case r.Sites < 1 || r.Sites > 1<<14:
		return fmt.Errorf("--sites %d: want 1 to 16384", r.Sites)
	case r.Rounds < 1 || r.Rounds > 1<<20:
		return fmt.Errorf("--rounds %d: want 1 to 2^20", r.Rounds)
	case !(r.Changed > 0 && r.Changed <= 1):
		return fmt.Errorf("--changed %v: want more than 0, at most 1", r.Changed)
	case r.PartSize < wire.MinPart || r.PartSize > wire.MaxPart:
		return fmt.Errorf("--part-size %d: want %d to %d", r.PartSize, wire.MinPart, wire.MaxPart)
	}
	if data := wire.PartData(r.PartSize); r.Params > topics.MaxParts*data/4 { // f32
		return fmt.Errorf("--params %d: want at most %d, what %d parts of --part-size %d hold", r.Params, topics.MaxParts*data/4, topics.MaxParts, r.PartSize)
	}
	if err := r.Strategy.check(r.Sites); err != nil {
		return fmt.Errorf("--strategy %w", err)
	}
	return errors.Join(checkBroker(r.Broker), checkDir("--dir", r.Dir), checkDir("--profile", r.Profile))
}

// checkDir refuses what is not a directory, before anything is measured.
func checkDir(flag, dir string) error {
	if dir == "" {
		return nil
	}
	at, err := os.Stat(dir)
	if err == nil && !at.IsDir() {
		err = &os.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return fmt.Errorf("%s: want a directory: %w", flag, err)
	}
	return nil
}

// Run measures. Whether the last model was exact, the result says.
func (r *Round) Run(ctx context.Context) (res *Result, err error) {
	if r.Broker != "" {
		if err := checkReach(ctx, r.Broker); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(r.Dir, "fedmq-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop := func() error { return nil }
	if !r.Processes {
		if stop, err = startProfile(r.Profile, "process"); err != nil {
			return nil, err
		}
	}
	res, err = r.measure(ctx, dir)
	return res, errors.Join(err, stop())
}

func (r *Round) measure(ctx context.Context, dir string) (*Result, error) {
	run := &federation{Round: *r, dir: dir}
	floors, crew := newCrew(dir, *r), newCrew(dir, *r)
	err := run.alternate(ctx, floors, crew)
	if err = errors.Join(err, crew.end(), floors.end()); err != nil {
		return nil, err
	}
	res := run.result()
	if !r.Strategy.sums() {
		res.Again, err = run.verifyAgain(ctx)
		return res, err
	}
	off, err := run.verify()
	res.Error = &off
	return res, err
}

// alternate runs the federation with the floor's turns in it.
func (r *federation) alternate(ctx context.Context, floors, c *crew) (err error) {
	if r.floor, err = r.startFloor(ctx, floors); err != nil {
		return err
	}
	if err := r.federate(ctx, c); err != nil {
		return err
	}
	r.floor.last, err = r.floor.usage(ctx)
	return err
}

// verify compares the last model with the exact mean.
func (r *federation) verify() (float64, error) {
	last := r.records[len(r.records)-1]
	if len(last.Model) != 2*sha256.Size {
		return 0, fmt.Errorf("round %d has no model", last.Round)
	}
	blob, err := os.ReadFile(filepath.Join(r.dir, "aggregator", "blobs", last.Model[:2], last.Model))
	if err != nil {
		return 0, err
	}
	if model.ContentOf(blob).String() != last.Model || len(blob) != 4*r.Params {
		return 0, fmt.Errorf("the model of round %d is not what its record names", last.Round)
	}
	return newSeries(r.Seed, r.Sites).frozen(r.Params, r.Changed).errorOf(blob, last.Round)
}

// median of a sorted list; 0 of none.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// result is what the run says but for the error.
func (r *federation) result() *Result {
	times := r.times()
	last := r.records[len(r.records)-1]
	res := &Result{
		Params: r.Params, Sites: r.Sites, Rounds: r.Rounds, WarmUp: warmUp, Committed: len(times), PartSize: r.PartSize, Strategy: r.Strategy.String(), Close: medianOf(r.closes()),
		Seed: r.Seed, Processes: r.Processes, Broker: "embedded", Median: medianOf(times), Min: slices.Min(times), Max: slices.Max(times), Times: times,
		Model: last.Model, Changed: r.Changed,
	}
	if r.Broker != "" {
		res.Broker = "external"
	}
	r.addUsage(res)
	r.floor.addTo(res, r.Processes)
	r.addTrace(res)
	return res
}
