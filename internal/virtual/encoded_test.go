package virtual

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// encoded runs the large task in an encoding, with what disturbs it once round 2 is
// committed, and returns its history, which a replay has made again.
func encoded(w *world, encoding string, disturb func(w *world, task aggregator.Task)) []record.Record {
	w.t.Helper()
	n := newWorld(w.t)
	task := n.large()
	task.Rounds, task.Encoding, task.KeepUpdates = 4, encoding, aggregator.KeepAll
	n.aggregate(task)
	for i, m := range three {
		n.join(m, walker{rows: 10 * (i + 1), takes: 20 * time.Second})
	}
	if disturb != nil {
		n.recorded(2, record.Committed, 5*time.Minute)
		time.Sleep(time.Second)
		disturb(n, task)
	}
	n.finished(20 * time.Minute)
	n.endAll()
	return n.history()
}

// Updates travel in the encoding that the order names, inline or in parts, and their
// records say so.
func TestEncodings(t *testing.T) {
	racing.Skip(t, "TestEncodedAtTheEnd has the goroutines of one of them")
	for _, c := range []struct {
		encoding, as string
		most         int64 // bytes of an update
	}{
		{"f16", "f16", 203_000},
		{"bf16", "bf16", 203_000},
		{"q8", "q8", 103_000},
		{"topk:0.25", "topk:0.25", 203_000},
		{"topk:.01:f16-feedback", "topk:0.01:f16", 6_700},
		{"q8:16+feedback+zstd", "q8:16", 126_000}, // these numbers of chance do not become smaller
		{"topk:.01+zstd", "topk:0.01", 8_700},
	} {
		t.Run(c.encoding, func(t *testing.T) {
			inBubble(t, func(w *world) {
				for _, r := range encoded(w, c.encoding, nil) {
					if r.Work != strategy.Train {
						continue
					}
					for _, e := range r.Entries {
						if e.Encoding != c.as || e.Bytes > c.most || e.Bytes < c.most*9/10 {
							t.Errorf("round %d, %s: %d bytes as %q, want at most %d as %s", r.Round, e.Member, e.Bytes, e.Encoding, c.most, c.as)
						}
					}
				}
			})
		})
	}
}

// Of a model of a million values an update as topk:0.01 is at most .03 of a dense one.
func TestMillionTopK(t *testing.T) {
	hours(t)
	inBubble(t, func(w *world) {
		up := map[string]int64{}
		for _, encoding := range []string{"dense", "topk:0.01"} {
			n := newWorld(t)
			task := n.task()
			x := make([]float32, 1_000_000)
			task.Init, task.Rounds, task.StartWhen, task.Quorum, task.Encoding = weights(t, x...), 1, 1, 1, encoding
			n.aggregate(task)
			n.join(three[0], walker{})
			n.finished(5 * time.Minute)
			n.endAll()
			for _, r := range n.all() {
				if r.Work == strategy.Train {
					up[encoding] += r.BytesUp
				}
			}
		}
		if share := float64(up["topk:0.01"]) / float64(up["dense"]); share > 0.03 || share < 0.02 {
			t.Errorf("%.4f of the bytes: %v", share, up)
		}
	})
}

// What an update leaves over outlives the process, as does what the aggregator has of a
// round: with restarts the same bits. Without feedback they are others.
func TestFeedbackOutlives(t *testing.T) {
	inBubble(t, func(w *world) {
		restarted := encoded(w, "topk:.01", func(n *world, task aggregator.Task) {
			n.end(three[2])
			n.join(three[2], walker{rows: 30, takes: 20 * time.Second})
			n.recorded(3, record.Committed, 5*time.Minute)
			time.Sleep(25 * time.Second) // updates of round 4 are in
			n.end(aggregatorName)
			n.aggregate(task)
		})
		if racing.On { // the others have some of its goroutines
			return
		}
		calm := encoded(w, "topk:.01", nil)
		sameModels(w, restarted, calm)
		without := encoded(w, "topk:.01-feedback", nil)
		if slices.EqualFunc(calm, without, func(a, b record.Record) bool { return a.Model == b.Model }) {
			t.Error("what is left over changes nothing")
		}
	})
}

// An encoding of a later version, and one that does not fit the values, has the updates
// travel dense; one that the order does not ask for is refused.
func TestEncodingFallsBack(t *testing.T) {
	inBubble(t, func(w *world) {
		w.strategies = ownStrategies
		w.strategies.Encodings = []strategy.Encoding{foreign{}}
		task := w.task()
		task.Encoding, task.KeepUpdates = "later", aggregator.KeepAll
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			for _, e := range r.Entries {
				if e.Encoding != "" || r.Work == strategy.Train && counted(r) != 3 {
					t.Errorf("round %d: %s is %s as %q", r.Round, e.Member, e.Verdict, e.Encoding)
				}
			}
		}
	})
}

// median takes all updates at the end: of each value the middle one of three.
type median struct{}

type medianFold struct{ *strategy.Values }

func (median) Name() string { return "own-median" }

func (median) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	v, err := strategy.NewValues(r)
	return medianFold{v}, err
}

func (medianFold) Add(strategy.Update) {}
func (medianFold) NeedsAll() bool      { return true }

func (medianFold) Finish(all *strategy.Updates, out *strategy.Output) error {
	return all.Blocks(func(at int, x [][]float64) error {
		mean := make([]float64, len(x[0]))
		for j := range mean {
			three := []float64{x[0][j], x[1][j], x[2][j]}
			slices.Sort(three)
			mean[j] = three[1]
		}
		out.Mean(at, mean)
		return nil
	})
}

// A strategy that reads the updates at the end reads what they were decoded to, and the
// records name the encoding in which they travelled, inline, in parts and after a restart.
func TestEncodedAtTheEnd(t *testing.T) {
	for name, size := range map[string]int{"inline": 4 << 20, "in parts": 20_000} {
		t.Run(name, func(t *testing.T) {
			if name == "inline" {
				racing.Skip(t, "in parts has the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.strategies = strategy.Registry{Strategies: []strategy.Strategy{median{}}}
				w.parts(size)
				task := w.large()
				task.Quorum, task.Rounds, task.Strategy, task.Encoding, task.KeepUpdates = 3, 2, "own-median", "q8", aggregator.KeepAll
				w.aggregate(task)
				for i, m := range three {
					w.join(m, walker{takes: time.Duration(20*(i+1)) * time.Second})
				}
				w.recorded(1, record.Committed, 5*time.Minute)
				time.Sleep(50 * time.Second) // two updates of round 2 are in
				w.end(aggregatorName)
				w.aggregate(task)
				w.finished(20 * time.Minute)
				w.endAll()
				for _, r := range w.history() {
					for _, e := range r.Entries {
						if r.Work == strategy.Train && e.Verdict == verdict.Counted && e.Encoding != "q8" {
							t.Errorf("round %d, %s: as %q", r.Round, e.Member, e.Encoding)
						}
					}
				}
			})
		})
	}
}

// An update in an encoding that its order does not ask for is refused, as are bytes that
// are none of it; what is decoded is held to the grid.
func TestHostileEncoding(t *testing.T) {
	q := func(scale float32, v ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, math.Float32bits(scale)), v...)
	}
	for name, c := range map[string]struct {
		order, as string
		blob      []byte
		want      verdict.Reason
	}{
		"not asked for":     {"", "q8", q(1, 1, 2), verdict.Unsupported},
		"another":           {"q8", "topk:0.01", q(0, 0, 0, 0, 0)[:7], verdict.Unsupported},
		"another spelling":  {"q8", "q8:256", q(1, 1, 2), verdict.Unsupported},
		"too few bytes":     {"q8", "q8", q(1, 1), verdict.Malformed},
		"no scale":          {"q8", "q8", q(float32(math.NaN()), 1, 2), verdict.Malformed},
		"beyond the grid":   {"q8", "q8", q(1, 1, 65), verdict.OutOfRange},
		"infinite":          {"f16", "f16", []byte{0, 0x7c, 0, 0}, verdict.NotFinite},
		"zstd without zstd": {"q8+zstd", "q8+zstd", q(1, 1, 2), verdict.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "beyond the grid" {
				racing.Skip(t, "other bytes on the goroutines of beyond the grid")
			}
			inBubble(t, func(w *world) {
				w.encoding = c.order
				cl, h := attack(w)
				u := wire.Update{Samples: 10, Tensors: &model.Model{Schema: w.delta(0, 0).Schema, Blob: c.blob}}
				u.Encoding = c.as
				cl.update(h, u)
				if r, ok := cl.refusal(evil); !ok || r.Reason != c.want.String() {
					t.Fatalf("refusal %+v, want %s", r, c.want)
				}
				unharmed(w, c.want)
			})
		})
	}
}

// foreign is an encoding that no site knows.
type foreign struct{ strategy.Encoding }

func (foreign) Name() string { return "later" }
