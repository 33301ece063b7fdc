package replay_test

import (
	"encoding/binary"
	"io/fs"
	"math"
	"runtime"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/strategy"
)

// A replay holds a few models, whatever the number of members: base, sums of 8
// bytes a value, result, and one blob that was read.
func TestMemory(t *testing.T) {
	const values, members = 1 << 19, 40 // 2 MiB a model
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{values}})
	must(t, err)
	base := model.New(s)
	update := func(k int) *model.Model { // made when it is asked for: none is held here
		m := model.New(s)
		for i := 0; i < len(m.Blob); i += 4 {
			binary.LittleEndian.PutUint32(m.Blob[i:], math.Float32bits(float32(k+1)/64))
		}
		return m
	}
	d := &disk{t: t, blobs: map[model.Hash][]byte{}}
	d.about, err = record.Describe("acme", "quality", s).Encode()
	must(t, err)
	d.add(record.Record{Work: "init", OrderHash: record.Hash(d.about)}, base)
	fedavg, err := strategy.Registry{}.Begin(strategy.Setup{Work: "train", Round: strategy.Round{Base: base, GridB: 6, GridW: 10}}, nil)
	must(t, err)
	of := map[model.Hash]int{}
	r := record.Record{Round: 1, Attempt: 1, Work: "train", Strategy: record.Strategy{Name: "fedavg", GridB: 6, GridW: 10, Cap: 1, Weights: "uniform"}}
	for k := range members {
		m := update(k)
		of[m.ContentID()] = k
		r.Entries = append(r.Entries, record.Entry{
			Member: string(rune('0'+k)) + "/line-1", Index: uint32(k), Content: m.ContentID(), Samples: 5, Weight: 1,
			Norm: record.Number(strategy.Norm(m)), Verdict: verdict.Counted,
		})
		fedavg.Add(strategy.Update{Samples: 5, Weight: 1, Tensors: m})
	}
	made, err := fedavg.Result(nil, nil)
	must(t, err)
	d.add(r, made.Model)
	raws, result := d.raws(), made.Model.ContentID()

	most, before := uint64(0), heap()
	first := model.New(s).ContentID()
	p := replay.New(replay.Config{Description: d.about, Blobs: func(id model.Hash) ([]byte, error) {
		most = max(most, heap())
		switch k, ok := of[id]; {
		case ok:
			return update(k).Blob, nil
		case id == first:
			return model.New(s).Blob, nil
		case id == result:
			return d.blobs[id], nil
		}
		return nil, fs.ErrNotExist
	}})
	for i, raw := range raws {
		_, err := p.Next(d.records[i].Round, d.records[i].Attempt, raw)
		must(t, err)
	}
	must(t, p.Finish())
	got := float64(most-min(before, most)) / (4 * values)
	t.Logf("%.1f models of memory", got)
	if got > 6 {
		t.Errorf("%.1f models of memory for %d updates, want at most 6", got, members)
	}
}

// heap is what is held, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
