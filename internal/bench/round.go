package bench

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

	"github.com/rs/zerolog"
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
	Profile   string  // existing directory for CPU and heap profiles; "" for none

	Log  zerolog.Logger // of parties in this process
	Peer []string       // arguments with which this program calls RunPeer, for Processes
	Talk io.Writer      // progress, for people
}

// warmUp is the number of rounds before those that are measured.
const warmUp = 1

// Result is the JSON object of a run.
type Result struct {
	Params    int     `json:"params"`
	Sites     int     `json:"sites"`
	Rounds    int     `json:"rounds"`
	WarmUp    int     `json:"warmup_rounds"`
	Committed int     `json:"rounds_committed"` // of the measured ones
	PartSize  int     `json:"part_size"`
	Seed      uint64  `json:"seed"`
	Processes bool    `json:"processes"`
	Broker    string  `json:"broker"` // embedded or external
	Median    float64 `json:"round_s_median"`
	Min       float64 `json:"round_s_min"`
	Max       float64 `json:"round_s_max"`
	Floor     float64 `json:"floor_s"`
	Train     float64 `json:"train_s_median"`
	CPU       float64 `json:"cpu_s_per_round"`
	CPUByRole *ByRole `json:"cpu_s_by_role"` // null without processes
	RSS       ByRole  `json:"rss_mb"`
	Wire      float64 `json:"wire_mb_per_round"`
	Error     float64 `json:"max_abs_err"`
	Model     string  `json:"model_sha256"`
	Changed   float64 `json:"changed"`
	Up        float64 `json:"up_mb_per_round"`   // from all sites
	Down      float64 `json:"down_mb_per_round"` // to them
	Full      float64 `json:"full_mb_per_round"` // all updates, or all models, whole
	Versions  any     `json:"versions"`          // of the program and the machine, as the caller knows them
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
func (c *Round) Check() error {
	switch {
	case c.Params < 1 || c.Params > 1<<30:
		return fmt.Errorf("--params %d: want 1 to 2^30", c.Params)
	case c.Sites < 1 || c.Sites > 1<<14:
		return fmt.Errorf("--sites %d: want 1 to 16384", c.Sites)
	case c.Rounds < 1:
		return fmt.Errorf("--rounds %d: want 1 or more", c.Rounds)
	case !(c.Changed > 0 && c.Changed <= 1):
		return fmt.Errorf("--changed %v: want more than 0, at most 1", c.Changed)
	case c.Broker != "":
		return checkBroker(c.Broker)
	}
	return nil
}

// Run measures. Whether the last model was exact, the result says.
func (c *Round) Run(ctx context.Context) (res *Result, err error) {
	dir, err := os.MkdirTemp(c.Dir, "fedmq-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop := func() error { return nil }
	if !c.Processes {
		if stop, err = startProfile(c.Profile, "process"); err != nil {
			return nil, err
		}
	}
	res, err = c.measure(ctx, dir)
	return res, errors.Join(err, stop())
}

func (c *Round) measure(ctx context.Context, dir string) (*Result, error) {
	run := &federation{Round: *c, dir: dir, talk: c.Talk}
	crew := newCrew(dir, *c)
	err := run.federate(ctx, crew)
	if err = errors.Join(err, crew.end()); err != nil {
		return nil, err
	}
	res := run.result()
	if res.Error, err = run.verify(); err != nil {
		return nil, err
	}
	res.Floor, err = run.floor(ctx, newCrew(dir, *c))
	return res, err
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
	if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != last.Model || len(blob) != 4*r.Params {
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

// result is what the run says but for the error and the floor.
func (r *federation) result() *Result {
	times := r.times()
	slices.Sort(times)
	last := r.records[len(r.records)-1]
	res := &Result{
		Params: r.Params, Sites: r.Sites, Rounds: r.Rounds, WarmUp: warmUp, Committed: len(times), PartSize: r.PartSize,
		Seed: r.Seed, Processes: r.Processes, Broker: "embedded", Median: median(times), Min: times[0], Max: times[len(times)-1],
		Model: last.Model, Changed: r.Changed,
	}
	if r.Broker != "" {
		res.Broker = "external"
	}
	r.addUsage(res)
	return res
}
