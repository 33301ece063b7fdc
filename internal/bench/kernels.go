package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// timesEach is how often each kernel is timed, but for what has taken timeEach already;
// the median counts.
const (
	timesEach = 7
	timeEach  = 20 * time.Second
)

// kernel is one line of a table.
type kernel struct {
	Name  string  `json:"name"`
	S     float64 `json:"s_median"`
	GBps  float64 `json:"gb_per_s"` // of float32 in, 10^9 bytes
	Bytes int     `json:"bytes"`    // of float32 in
}

// Kernels are the kernels of one run.
type Kernels struct {
	Params   int      `json:"params"`
	Members  int      `json:"members,omitempty"`
	Frame    int      `json:"zstd_bytes,omitempty"` // of an update compressed
	Kernels  []kernel `json:"kernels"`
	RSS      float64  `json:"rss_mb,omitempty"` // peak of this process, MB = 10^6 bytes
	Versions any      `json:"versions"`         // as in Result
}

// time runs what moves n bytes, timesEach times.
func (k *Kernels) time(ctx context.Context, name string, n int, run func() error) error {
	var s []float64
	for start := time.Now(); len(s) < timesEach && (len(s) == 0 || time.Since(start) < timeEach); {
		if ctx.Err() != nil {
			return context.Canceled
		}
		began := time.Now()
		if err := run(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s = append(s, max(time.Since(began).Seconds(), 1e-9))
	}
	slices.Sort(s)
	m := median(s)
	k.Kernels = append(k.Kernels, kernel{name, m, float64(n) / 1e9 / m, n})
	return nil
}

// Print writes them for people.
func (k *Kernels) Print(w io.Writer) {
	for _, l := range k.Kernels {
		fmt.Fprintf(w, "%-10s %10s %8.2f GB/s\n", l.Name, seconds(l.S), l.GBps)
	}
	if k.RSS > 0 {
		fmt.Fprintf(w, "memory     %.0f MB at most\n", k.RSS)
	}
}

// CheckFold says what Fold cannot time.
func CheckFold(params, members int) error {
	if params < 1 || params > 1<<28 || members < 1 || members > 1<<14 {
		return errors.New("want --params from 1 to 2^28 and --members from 1 to 16384")
	}
	return nil
}

// Fold times FedAvg as the aggregator does it, on all processors, without a
// network: members updates of a model with params parameters. Beside it strategies that
// read all updates at the end, from files in a directory below dir that is removed.
func Fold(ctx context.Context, params, members int, dir string, others []Folding) (*Kernels, error) {
	base, err := zeros(params)
	if err != nil {
		return nil, err
	}
	series := newSeries(1, members)
	delta := base.Clone()
	series.train(delta.Blob, delta.Blob, 0, 1)
	k := &Kernels{Params: params, Members: members}
	all := len(base.Blob) * members
	each := func(f func(u strategy.Update) error) func() error {
		return func() error {
			for i := range members {
				n := uint64(series.samples(i)) // 1 or 2
				if err := f(strategy.Update{Samples: n, Weight: n, Tensors: delta}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var st *strategy.Aggregation
	begin := func() (err error) { st, err = newFold(base, series.weight, st); return err }
	add := each(func(u strategy.Update) error { st.Add(u); return nil })
	err = errors.Join(
		k.time(ctx, "begin", len(base.Blob), begin),
		k.time(ctx, "check", all, each(func(u strategy.Update) error { return st.Check(u) })),
		k.time(ctx, "add", all, func() error { return errors.Join(begin(), add()) }),
		k.time(ctx, "result", len(base.Blob), func() error { _, err := st.Result(nil, nil); return err }))
	if err == nil {
		err = k.selective(ctx, dir, base, series, members, others)
	}
	_, rss := processUsage()
	k.RSS = float64(rss) / 1e6
	return k, err
}

// CheckCodec says what Codec cannot time.
func CheckCodec(params int) error {
	if most := (wire.MaxPart - 4<<10) / 4; params < 1 || params > most {
		return fmt.Errorf("--params %d: want 1 to %d", params, most)
	}
	return nil
}

// Codec times an update to and from its message, on one processor.
func Codec(ctx context.Context, params int) (*Kernels, error) {
	m, err := zeros(params)
	if err != nil {
		return nil, err
	}
	newSeries(1, 10).train(m.Blob, m.Blob, 0, 1)
	k := &Kernels{Params: params}
	body, err := wire.Encode(wire.Update{Samples: 1, Tensors: m})
	if err != nil {
		return nil, err
	}
	n := len(m.Blob)
	err = errors.Join(
		k.time(ctx, "sha256", n, func() error { sha256.Sum256(m.Blob); return nil }),
		k.time(ctx, "encode", n, func() error { _, err := wire.Encode(wire.Update{Samples: 1, Tensors: m}); return err }),
		k.time(ctx, "decode", n, func() error { _, err := wire.DecodeUpdate(body, m.Schema); return err }),
		k.envelopes(ctx, m, body))
	return k, err
}

// envelopes times seal and open in both encodings.
func (k *Kernels) envelopes(ctx context.Context, m *model.Model, body []byte) error {
	ns, err := topics.New(rootLevel)
	if err != nil {
		return err
	}
	member, err := ns.Member("site", taskName)
	if err != nil {
		return err
	}
	opener := &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	for _, e := range []struct{ encoding, suffix string }{{wire.EncodingDense, ""}, {wire.EncodingDenseZstd, "-zstd"}} {
		h := wire.Header{
			Task: taskName, Kind: wire.KindUpdate, Sender: member.Node(), Topic: member.Update(), Epoch: 1, Round: 1, Attempt: 1,
			Base: m.ContentID(), Schema: m.Schema.Hash(), Encoding: e.encoding, Origin: wire.Nonce{1},
		}
		payload, err := wire.Seal(h, body, nil)
		if err != nil {
			return err
		}
		if e.encoding == wire.EncodingDenseZstd {
			k.Frame = len(payload)
		}
		n := len(m.Blob)
		err = errors.Join(
			k.time(ctx, "seal"+e.suffix, n, func() error { _, err := wire.Seal(h, body, nil); return err }),
			k.time(ctx, "open"+e.suffix, n, func() error {
				_, _, err := opener.Open(h.Topic, payload, wire.Bound{MaxBody: wire.MaxUpdateBody(m.Schema)})
				return err
			}))
		if err != nil {
			return err
		}
	}
	return nil
}
