package federation

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/site"
)

// Monitors of a federation that ran to its end say what the records say.
func TestMonitors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mon, at := new(aggregator.Monitor), new(site.Monitor)
	if s := mon.Stats(); s.Ready || s.Link.Up || len(s.Tasks) > 0 {
		t.Fatalf("before the run: %+v", s)
	}
	watched := start(func(ctx context.Context) error {
		return site.Run(ctx, site.Config{
			Namespace: "acme", Member: "a", DataDir: filepath.Join(w.dir, "a"), Dial: w.dial, Monitor: at,
			Tasks: []site.Task{{Name: task, Trainer: seeded{samples: 5}}},
		})
	})
	others := []*party{w.site("b", seeded{samples: 3}), w.site("c", same{})}
	cfg := w.config(func(t *aggregator.Task) { t.Quorum = 3 })
	cfg.Monitor = mon
	a := w.aggregate(cfg)
	a.finish(t)
	s := mon.Stats()
	if !s.Ready || !s.Link.Up || len(s.Tasks) != 1 {
		t.Fatalf("%+v", s)
	}
	var up, down int64
	seconds, committed := 0.0, uint64(0)
	for _, r := range w.recorded() {
		up, down = up+r.BytesUp, down+r.BytesDown
		if r.Work != "init" {
			committed++
			seconds += float64(max(r.CommittedMS, r.ClosedMS)-r.OpenedMS) / 1000
		}
	}
	got := s.Tasks[0]
	if got.Task != task || got.Members != 3 || got.Phase != "halted" || got.Committed != committed || got.Abandoned != 0 || len(got.Refused) != 0 {
		t.Errorf("%+v, want %d commits", got, committed)
	}
	if got.RoundSeconds < seconds-0.001 || got.RoundSeconds > seconds+0.001 {
		t.Errorf("%v s, the records have %v", got.RoundSeconds, seconds)
	}
	if got.BytesUp < uint64(up) || got.BytesDown < uint64(down) || up == 0 || down == 0 {
		t.Errorf("%d bytes up, %d down; the records have %d, %d", got.BytesUp, got.BytesDown, up, down)
	}
	if err := watched.stop(); err != nil {
		t.Error(err)
	}
	v := at.Stats()
	if len(v.Tasks) != 1 || v.Link.Published == 0 || v.Link.Up {
		t.Fatalf("site: %+v", v)
	}
	if x := v.Tasks[0]; !x.Welcomed || x.Samples != 5 || x.Jobs != committed || len(x.Failed)+len(x.Refused) != 0 {
		t.Errorf("site: %+v, want %d jobs", x, committed)
	}
	w.stopAll(append(others, a.party)...)
	if s := mon.Stats(); s.Ready || s.Link.Up {
		t.Errorf("after the run: %+v", s)
	}
}
