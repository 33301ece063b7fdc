package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// benchTimes is how often each kernel is timed; the median counts.
const benchTimes = 7

// kernel is one line of a table.
type kernel struct {
	Name  string  `json:"name"`
	S     float64 `json:"s_median"`
	GBps  float64 `json:"gb_per_s"` // of float32 in, 10^9 bytes
	Bytes int     `json:"bytes"`    // of float32 in
}

type kernels struct {
	Params   int          `json:"params"`
	Members  int          `json:"members,omitempty"`
	Frame    int          `json:"zstd_bytes,omitempty"` // of an update compressed
	Kernels  []kernel     `json:"kernels"`
	Versions benchMachine `json:"versions"`
}

// time runs what moves n bytes, benchTimes times.
func (k *kernels) time(ctx context.Context, name string, n int, run func() error) error {
	var s []float64
	for range benchTimes {
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

func (k *kernels) report(asJSON bool) error {
	if asJSON {
		return printJSON(k)
	}
	for _, l := range k.Kernels {
		fmt.Fprintf(stdout, "%-10s %10s %8.2f GB/s\n", l.Name, seconds(l.S), l.GBps)
	}
	return nil
}

type benchFoldCmd struct {
	Params  int  `default:"1000000" help:"Parameters of the model, f32."`
	Members int  `default:"10" help:"Updates in the sum."`
	JSON    bool `help:"Print one JSON object."`
}

func (benchFoldCmd) Help() string {
	return `FedAvg as the aggregator does it, on all processors, without a network. GB/s are of float32
read: members times the model for check and add, the model for result. Each line is the
median of 7.`
}

func (c *benchFoldCmd) Run(ctx context.Context) error {
	if c.Params < 1 || c.Params > 1<<28 || c.Members < 1 || c.Members > 1<<14 {
		return usageError{errors.New("want --params from 1 to 2^28 and --members from 1 to 16384")}
	}
	base, err := benchModel(c.Params)
	if err != nil {
		return err
	}
	series := newBenchSeries(1, c.Members)
	delta := base.Clone()
	series.train(delta.Blob, 0, 1)
	k := &kernels{Params: c.Params, Members: c.Members, Versions: thisMachine()}
	all := len(base.Blob) * c.Members
	each := func(f func(u strategy.Update) error) func() error {
		return func() error {
			for i := range c.Members {
				n := uint64(series.samples(i)) // #nosec G115 -- 1 or 2
				if err := f(strategy.Update{Samples: n, Weight: n, Tensors: delta}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var st *strategy.Aggregation
	begin := func() (err error) { st, err = benchFold(base, series.weight, st); return err }
	add := each(func(u strategy.Update) error { st.Add(u); return nil })
	return errors.Join(
		k.time(ctx, "begin", len(base.Blob), begin),
		k.time(ctx, "check", all, each(func(u strategy.Update) error { return st.Check(u) })),
		k.time(ctx, "add", all, func() error { return errors.Join(begin(), add()) }),
		k.time(ctx, "result", len(base.Blob), func() error { _, err := st.Result(nil, nil); return err }),
		k.report(c.JSON))
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
	if c.Params < 1 || c.Params > (wire.MaxPart-4<<10)/4 {
		return usageError{fmt.Errorf("--params %d: want 1 to %d", c.Params, (wire.MaxPart-4<<10)/4)}
	}
	m, err := benchModel(c.Params)
	if err != nil {
		return err
	}
	newBenchSeries(1, 10).train(m.Blob, 0, 1)
	k := &kernels{Params: c.Params, Versions: thisMachine()}
	body, err := wire.Encode(wire.Update{Samples: 1, Tensors: m})
	if err != nil {
		return err
	}
	n := len(m.Blob)
	err = errors.Join(
		k.time(ctx, "sha256", n, func() error { sha256.Sum256(m.Blob); return nil }),
		k.time(ctx, "encode", n, func() error { _, err := wire.Encode(wire.Update{Samples: 1, Tensors: m}); return err }),
		k.time(ctx, "decode", n, func() error { _, err := wire.DecodeUpdate(body, m.Schema); return err }),
		k.envelopes(ctx, m, body))
	return errors.Join(err, k.report(c.JSON))
}

// envelopes times seal and open in both encodings.
func (k *kernels) envelopes(ctx context.Context, m *model.Model, body []byte) error {
	ns, err := topics.New(benchNamespace)
	if err != nil {
		return err
	}
	member, err := ns.Member("site", benchTask)
	if err != nil {
		return err
	}
	opener := &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	for _, e := range []struct{ encoding, suffix string }{{wire.EncodingDense, ""}, {wire.EncodingDenseZstd, "-zstd"}} {
		h := wire.Header{
			Task: benchTask, Kind: wire.KindUpdate, Sender: member.Node(), Topic: member.Update(), Epoch: 1, Round: 1, Attempt: 1,
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
