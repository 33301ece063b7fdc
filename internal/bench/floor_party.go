package bench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// relayBlock is what the relay reads and writes at a time, through memory as
// any broker must.
const relayBlock = 256 << 10

// floorFull is how many updates the folder takes in at a time.
const floorFull = 2

// A connection to the relay begins with what it is: the folder's way down, or
// a sender's or the folder's end of one site, by its number.
const floorDown = -1

func (p *peer) connect(ctx context.Context, site int, folder bool) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	hello := binary.LittleEndian.AppendUint32(nil, uint32(int32(site))) // at most 16384
	if folder {
		hello = append(hello, 1)
	} else {
		hello = append(hello, 0)
	}
	_, err = c.Write(hello)
	return c, err
}

// sender answers every model with its update.
func (p *peer) sender(ctx context.Context) error {
	m, err := zeros(p.Params)
	if err != nil {
		return err
	}
	update := m.Clone()
	newSeries(p.Seed, p.Sites).train(update.Blob, m.Blob, p.Site, 1)
	c, err := p.connect(ctx, p.Site, false)
	if err != nil {
		return err
	}
	p.ready("")
	for {
		if err := readHashed(c, m.Blob); err != nil {
			return unlessDone(ctx, err)
		}
		sha256.Sum256(update.Blob)
		if _, err := c.Write(update.Blob); err != nil {
			return unlessDone(ctx, err)
		}
	}
}

// unlessDone is err, unless ctx has ended: then the connection was closed.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // what a closed connection says is no news
	}
	return err
}

// readHashed fills b and hashes it, which is all that its time is wanted for.
func readHashed(r io.Reader, b []byte) error {
	h := sha256.New()
	for len(b) > 0 {
		n, err := io.ReadFull(r, b[:min(len(b), relayBlock)])
		h.Write(b[:n])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	h.Sum(nil)
	return nil
}

// folder runs a lap each time it is asked to.
func (p *peer) folder(ctx context.Context) error {
	base, err := zeros(p.Params)
	if err != nil {
		return err
	}
	down, err := p.connect(ctx, floorDown, true)
	if err != nil {
		return err
	}
	f := &floorFolder{
		down: down, base: base, series: newSeries(p.Seed, p.Sites), ups: make([]net.Conn, p.Sites),
		free: make(chan *model.Model, floorFull),
	}
	for i := range f.ups {
		if f.ups[i], err = p.connect(ctx, i, true); err != nil {
			return err
		}
	}
	for range floorFull {
		f.free <- base.Clone()
	}
	p.ready("")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.goes:
		}
		s, err := f.lap()
		if err != nil {
			return unlessDone(ctx, err)
		}
		p.say(peerEvent{Lap: &s})
	}
}

type floorFolder struct {
	down   net.Conn
	ups    []net.Conn
	base   *model.Model
	series series
	free   chan *model.Model // room for updates
	mu     sync.Mutex        // for the fold
	fold   *strategy.Aggregation
}

// lap sends the model, and folds what comes back.
func (f *floorFolder) lap() (float64, error) {
	began := time.Now()
	sha256.Sum256(f.base.Blob)
	if _, err := f.down.Write(f.base.Blob); err != nil {
		return 0, err
	}
	var err error
	if f.fold, err = newFold(f.base, f.series.weight, f.fold); err != nil {
		return 0, err
	}
	errs := make([]error, len(f.ups))
	var wg sync.WaitGroup
	for i, c := range f.ups {
		wg.Go(func() { errs[i] = f.take(c, uint64(f.series.samples(i))) }) // 1 or 2
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	if _, err := f.fold.Result(nil, nil); err != nil {
		return 0, err
	}
	return time.Since(began).Seconds(), nil
}

// take folds one update.
func (f *floorFolder) take(c net.Conn, weight uint64) error {
	m := <-f.free
	defer func() { f.free <- m }()
	if err := readHashed(c, m.Blob); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u := strategy.Update{Samples: weight, Weight: weight, Tensors: m}
	u, taken, err := f.fold.Take(u, func(off, _, most int) ([]byte, error) { return m.Blob[off : off+min(most, len(m.Blob)-off)], nil })
	if err != nil || !taken {
		return cmp.Or(err, errors.New("bench: the floor's fold does not take an update in one pass"))
	}
	f.fold.Count(u)
	return nil
}

// newFold begins FedAvg with room for a total weight.
func newFold(base *model.Model, weight int, before *strategy.Aggregation) (*strategy.Aggregation, error) {
	s := strategy.Setup{Work: strategy.Train, Round: strategy.Round{Base: base, GridB: 6}}
	for 1<<s.GridW < weight {
		s.GridW++
	}
	return strategy.Registry{}.Begin(s, before)
}
