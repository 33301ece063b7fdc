package site

import (
	"testing"
	"testing/synctest"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/wire"
)

// The monitor follows a site from its start: not welcomed, welcomed, a job,
// what was refused, what was not the aggregator's.
func TestMonitor(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, mon := newHub(t), new(Monitor)
		if s := mon.Stats(); s.Ready || s.Link.Up || len(s.Tasks) > 0 {
			t.Fatalf("before the run: %+v", s)
		}
		cfg := h.config(&fake{})
		cfg.Monitor = mon
		stop := h.life(cfg)
		if s := mon.Stats(); s.Ready || !s.Link.Up || s.Tasks[0].Phase != PhaseJoining {
			t.Fatalf("not welcomed: %+v", s)
		}
		h.welcome()
		synctest.Wait()
		if s := mon.Stats(); !s.Ready || !s.Tasks[0].Welcomed {
			t.Fatalf("welcomed: %+v", s)
		}
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		_, c, _ := h.update()
		h.reply(wire.RefusalReply{Round: 1, Attempt: 1, Content: c.(wire.Update).Content(), Reason: "norm_outlier"})
		h.say(h.owner.Order(), false, []byte("garbage"))
		synctest.Wait()
		s := mon.Stats()
		got := s.Tasks[0]
		if s.Unverified != 1 || got.Jobs != 1 || got.Refused["norm_outlier"] != 1 || got.Round != 1 || got.Samples != 10 || !s.Ready {
			t.Errorf("%+v", s)
		}
		got.Refused["norm_outlier"] = 9
		if n := mon.Stats().Tasks[0].Refused["norm_outlier"]; n != 1 {
			t.Errorf("a snapshot is shared: %d", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if s := mon.Stats(); s.Ready || s.Link.Up {
			t.Errorf("after the run: %+v", s)
		}
	})
}

func TestCountedIsBounded(t *testing.T) {
	t.Parallel()
	var m map[string]uint64
	for i := range 100 {
		m = counted(m, string(rune('a'+i)))
	}
	if len(m) > maxReasons+1 || m["other"] != 100-maxReasons {
		t.Errorf("%d reasons, other %d", len(m), m["other"])
	}
}
