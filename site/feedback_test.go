package site

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// fed is a site whose trainer adds .5 to each of four weights, and whose updates are the
// largest of them: what they send shows what is left over.
type fed struct {
	*hub
	base *model.Model
	at   uint64 // round
	back uint64 // the last round that was a rollback
	sent wire.Update
}

// round opens one and returns what the site sends: place and value.
func (f *fed) round(at uint64) string {
	f.t.Helper()
	f.at = at
	f.forget()
	f.order(at, 1, wire.WorkTrain, f.base, func(o *wire.Order) { o.Encoding, o.Rolled = "topk:0.25", f.back })
	_, c, _ := f.update()
	f.sent = c.(wire.Update)
	if b := f.sent.Tensors.Blob; f.sent.Encoding == "topk:0.25" && len(b) == 8 {
		return fmt.Sprintf("%d %g", binary.LittleEndian.Uint32(b), math.Float32frombits(binary.LittleEndian.Uint32(b[4:])))
	}
	return fmt.Sprintf("%d bytes as %q", len(f.sent.Tensors.Blob), f.sent.Encoding)
}

func (f *fed) counts() { f.commit(f.at, f.base, f.base, f.sent.Content()) }

// What updates leave over is added to the next once they count, outlives the process,
// and is forgotten when it is of no use any more (E-7, E-8).
func TestFeedback(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		f := &fed{hub: newHub(t), base: four(t)}
		cfg := f.config(&fake{})
		end := f.life(cfg)
		f.welcome()
		f.model(0, f.base)
		want := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Fatalf("%s: %s, want %s", what, got, want)
			}
		}
		want("at first", f.round(1), "0 0.5")
		f.counts() // 0 .5 .5 .5
		want("after one that counts", f.round(2), "1 1")
		f.reply(wire.RefusalReply{Round: 2, Attempt: 1, Content: f.sent.Content(), Reason: "norm_outlier"})
		want("after one that does not", f.round(3), "1 1")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		end = f.life(cfg) // with its fate unknown
		f.reply(wire.Welcome{Index: 3, FromRound: 1, FromAttempt: 1})
		f.reply(wire.Settled{Round: 3, Content: f.sent.Content(), Verdict: "counted"}) // .5 0 1 1
		want("in another life", f.round(4), "2 1.5")
		fourth := f.sent
		want("while the fate of one is unknown", f.round(5), "0 0.5")
		f.reply(wire.Settled{Round: 4, Content: fourth.Content(), Verdict: "counted"}) // 1 .5 0 1.5
		f.counts()
		want("after that", f.round(6), "3 2")
		if err := end(); err != nil {
			t.Error(err)
		}
		f.back = 7 // while the site is away
		end = f.life(cfg)
		f.reply(wire.Welcome{Index: 3, FromRound: 1, FromAttempt: 1})
		want("after a rollback", f.round(8), "0 0.5")
		f.counts()
		want("after one that counts since", f.round(9), "1 1")
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// four is a model of four weights.
func four(t *testing.T) *model.Model {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{4}})
	if err != nil {
		t.Fatal(err)
	}
	return model.New(s)
}

// What is left over is forgotten after a gap, for other tensors, and in another life
// of the task.
func TestFeedbackForgets(t *testing.T) {
	t.Parallel()
	one, two := model.Hash{1}, model.Hash{2}
	f := private{Left: left{Rest: one, Schema: two, Round: 5}}
	for round, want := range map[uint64]bool{5: false, 6: true, 15: true, 16: false, 4: false} {
		if got := f.of(round, two) != (left{}); got != want {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if f.of(6, one) != (left{}) {
		t.Error("other tensors have it")
	}
	f.Coming = &left{Rest: two, Schema: two, Round: 6}
	for name, c := range map[string]struct {
		fates   []member.Settled
		dropped []uint64
		left    model.Hash
		waits   bool
	}{
		"counted":        {[]member.Settled{{Round: 6, Counted: true}}, []uint64{6}, two, false},
		"not counted":    {[]member.Settled{{Round: 6}}, []uint64{6}, one, false},
		"dropped":        {nil, []uint64{6}, one, false},
		"another counts": {[]member.Settled{{Round: 5, Counted: true}}, []uint64{5}, one, true},
	} {
		if got := f.settled(c.fates, c.dropped); got.Left.Rest != c.left || got.waits() != c.waits {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A disk keeps the files of what is left over, and no others.
func TestFeedbackOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	var ids []model.Hash
	for _, text := range []string{"first", "second", "third"} {
		id := model.ContentOf([]byte(text))
		if err := d.Write(id, []byte(text)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	f := private{Left: left{Rest: ids[1], Round: 1}, Coming: &left{Rest: ids[2], Round: 2}}
	if err := d.Save("task", change{Feedback: &f, Gone: ids}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = openDisk(dir, "node"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	s, err := d.Load("task")
	if err != nil || s.Left.Left != f.Left || *s.Left.Coming != *f.Coming {
		t.Errorf("%+v, %v", s.Left, err)
	}
	for i, id := range ids {
		if b, err := d.Update(id); (err == nil) != (i > 0) {
			t.Errorf("file %d: %q, %v", i, b, err)
		}
	}
}

// What does not fit an encoding travels dense, and the status says why.
func TestTravelsDense(t *testing.T) {
	t.Parallel()
	for encoding, why := range map[string]string{
		"topk:0.5":  "not smaller",
		"nibbles+x": "this site does not know",
	} {
		bubble.Test(t, func(t *testing.T) {
			h := newHub(t)
			base := four(t)
			end := h.life(h.config(&fake{}))
			h.welcome()
			h.model(0, base)
			h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) { o.Encoding = encoding })
			_, c, _ := h.update()
			if u := c.(wire.Update); u.Encoding != "" || len(u.Tensors.Blob) != 16 {
				t.Errorf("%s: %d bytes as %q", encoding, len(u.Tensors.Blob), u.Encoding)
			}
			if s := h.lastStatus(); !strings.Contains(s.Warning, why) {
				t.Errorf("%s: the status warns %q", encoding, s.Warning)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
}
