package round

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Limits of a task's settings.
const (
	MaxCap       = 1 << 29 // above it a product with a float32 is not exact
	MaxAllowance = 1 << 24
	MinGridB     = -16
	MaxGridB     = 24

	defaultGridB      = 6
	defaultCapFactor  = 10
	defaultMaxSamples = 1_000_000_000
	defaultDeadlineMS = 10 * 60 * 1000
	abandonsUntilWait = 3
	refusalsUntilStop = 3
	firstWaitMS       = 30_000
	paceFree          = 100 // members that need no pace
	paceMSPerMember   = 2
	heartbeatMinMS    = 30_000
	heartbeatMSMember = 10
	maxCommands       = 1000
	maxCommandID      = 64
	maxSuperseded     = 8 // instances remembered for each member
	silenceMinMS      = 90_000
	silenceBeats      = 3         // heartbeats
	comebackMinMS     = 10_000    // in which a process whose connection was taken over is back: twice the spread of C-9
	comebackMSMember  = 10        // and the same for each member
	contestMS         = 1_800_000 // how long a second process is remembered after it came last
	contestEveryMS    = 3_600_000 // how often it is told of
	sampleDraws       = 64
	graceShare        = 10     // of the deadline, for running uploads
	maxGraceMS        = 10_000 // and the most of it
)

// Weights says how a member's number of samples becomes its weight.
type Weights string

// The weightings.
const (
	WeightSamples Weights = "samples"
	WeightUniform Weights = "uniform"
	WeightSqrt    Weights = "sqrt" // round half to even of the square root, at least 1
)

// Valid reports whether w is one of the weightings.
func (w Weights) Valid() bool {
	return w == WeightSamples || w == WeightUniform || w == WeightSqrt
}

// Config is the task as its owner set it. The zero value of a field takes the
// default given beside it; Members has none.
type Config struct {
	Members []topics.MemberFilter // who may join; at least one

	Rounds     uint64 // train rounds; default 1
	Gate       *Gate  // decides what is released; nil: the end does
	Stop       *Stop  // ends the training before; nil: nothing does
	Statistics bool   // begin with a statistics round
	Survey     bool   // statistics alone: Rounds are of them, and nothing is trained or released
	EveryMS    int64  // of a survey, the time from one round to the next, but for the first EveryFrom; default 0
	EveryFrom  uint64 // rounds after which EveryMS holds

	StartWhen  int    // members welcomed before the first order; default: the quorum
	JoinWaitMS int64  // time for more to join after StartWhen is reached; default 0
	Quorum     int    // fewest accepted to commit; default: more than half of StartWhen, at least 1
	Goal       int    // accepted that close an attempt early, at least the quorum; default 0: all
	DeadlineMS uint64 // of an attempt while connected; default 10 minutes

	Sample    float64 // share of the members asked, (0, 1]; default 1
	Allowance uint64  // most members of one round's cohorts; default: the power of two >= 2 x the first cohort

	Weights   Weights // default WeightSamples
	Cap       uint64  // highest weight, 1..MaxCap; default: CapFactor x the lower median of the first cohort
	CapFactor uint64  // default 10

	MaxSamples uint64 // most samples that a member may have; default 10^9
	Folding           // of rounds of training that are opened from now on, the thresholds until Committed says others
	GridB      *int   // values are at most 2^GridB, MinGridB..MaxGridB; default 6

	PaceMS *uint64 // spread of the updates; default 0 up to 100 members, then 2 ms a member

	Others bool // the open round would be ordered with other settings now than it was

	Base   model.Hash // content id of the genesis model (version 0)
	Schema model.Hash // hash of its schema; zero: joins are not checked against it

	// Rand fills p with random bytes. It is called only with Sample < 1, once
	// for each draw of a cohort.
	Rand func(p []byte)
}

// ErrConfig is wrapped by every error of Validate.
var ErrConfig = errors.New("round: setting")

// Validate says what is wrong with the settings, if anything. New expects
// settings that pass.
func (c Config) Validate() error {
	d := c.withDefaults()
	bad := func(what string, got any, want string) error {
		return fmt.Errorf("%w %s: %v, want %s", ErrConfig, what, got, want)
	}
	switch {
	case len(c.Members) == 0:
		return bad("members", "none", "at least one filter")
	case c.Survey && (c.Statistics || c.Gate != nil || c.Stop != nil) || !c.Survey && c.EveryMS != 0 || c.EveryMS < 0:
		return bad("survey", c.Survey, "statistics alone, every 0 or more")
	case c.StartWhen < 0 || c.Quorum < 0 || c.Goal < 0 || c.JoinWaitMS < 0:
		return bad("start_when, quorum, goal, join_wait", "negative", "0 or more")
	case d.Goal != 0 && d.Goal < d.Quorum:
		return bad("goal", d.Goal, fmt.Sprintf("at least the quorum, %d", d.Quorum))
	case d.Buffer != 0 && d.Buffer < d.Quorum:
		return bad("buffer", d.Buffer, fmt.Sprintf("at least the quorum, %d", d.Quorum))
	case d.StartWhen < d.Quorum:
		return bad("start_when", d.StartWhen, fmt.Sprintf("at least the quorum, %d", d.Quorum))
	case d.DeadlineMS > math.MaxInt64/4:
		return bad("deadline", d.DeadlineMS, "a time that ends")
	case !(d.Sample > 0 && d.Sample <= 1):
		return bad("sample", d.Sample, "above 0, at most 1")
	case d.Sample < 1 && d.Rand == nil:
		return bad("sample", d.Sample, "a source of random bytes beside it")
	case !d.Weights.Valid():
		return bad("weights", d.Weights, "samples, uniform or sqrt")
	case d.Cap > MaxCap:
		return bad("weights.cap", d.Cap, fmt.Sprintf("at most %d", MaxCap))
	case d.Allowance > MaxAllowance || d.Allowance != 0 && d.Allowance < uint64(d.Quorum):
		return bad("weights.allowance", d.Allowance, "at least the quorum, at most 2^24")
	case d.Stop != nil && (d.Stop.Patience < 1 || !(d.Stop.MinDelta >= 0) || math.IsInf(d.Stop.MinDelta, 0)):
		return bad("stop", *d.Stop, "a patience of 1 or more, a min_delta of 0 or more")
	case d.Gate != nil && (d.Gate.Hold < 1 || d.Gate.HoldMS < 0):
		return bad("release", *d.Gate, "a hold of 1 or more")
	case *d.GridB < MinGridB || *d.GridB > MaxGridB:
		return bad("grid.b", *d.GridB, fmt.Sprintf("%d..%d", MinGridB, MaxGridB))
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Rounds = cmp.Or(c.Rounds, 1)
	c.Quorum = cmp.Or(c.Quorum, c.StartWhen/2+1)
	c.StartWhen = cmp.Or(c.StartWhen, c.Quorum)
	c.DeadlineMS = cmp.Or(c.DeadlineMS, defaultDeadlineMS)
	c.Sample = cmp.Or(c.Sample, 1)
	c.Weights = cmp.Or(c.Weights, WeightSamples)
	c.CapFactor = cmp.Or(c.CapFactor, defaultCapFactor)
	c.MaxSamples = cmp.Or(c.MaxSamples, defaultMaxSamples)
	gridB := defaultGridB
	c.GridB = cmp.Or(c.GridB, &gridB)
	return c
}

// member reports whether path may join.
func (c Config) member(path string) bool {
	return slices.ContainsFunc(c.Members, func(f topics.MemberFilter) bool { return f.Match(path) })
}
