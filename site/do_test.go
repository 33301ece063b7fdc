package site

import (
	"errors"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/wire"
)

// A Ready is worked off in its order: nothing that tells of the state is sent, and no
// job is taken, before it is saved.
func TestSavedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	d := &memory{fail: full, id: wire.Nonce{1}}
	s, tk := bench(t, d)
	r := member.Ready{
		Save: &member.State{Counter: 7}, Send: []member.Send{member.SendJoin{}}, Start: &member.Job{ID: 1},
		Receive: 10, Show: &member.View{Phase: PhaseTraining},
	}
	if err := s.do(tk, r); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if !slices.Equal(d.calls, []string{"save"}) || len(s.queue) != 0 || tk.in != nil || tk.view.Phase == PhaseTraining {
		t.Errorf("done: %v, %d jobs, receives %v, shows %v", d.calls, len(s.queue), tk.in, tk.view)
	}
}

// A result whose job is another is not sealed, and says so to the machine alone.
func TestSealsItsOwnResult(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	tk.result = &result{id: 3}
	if err := s.do(tk, member.Ready{Seal: &member.Seal{ID: 4}}); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 1 || s.events[0].event.(member.Unsealed).ID != 4 || slices.Contains(d.calls, "entry") {
		t.Errorf("told %+v, done %v", s.events, d.calls)
	}
}

// Who is superseded comes back as another, and who is to wait is told where the
// other one runs.
func TestLeaves(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	if err := s.do(tk, member.Ready{Stop: "another process took over"}); !errors.Is(err, ErrSuperseded) || d.id == (wire.Nonce{1}) {
		t.Errorf("%v, still %v", err, d.id)
	}
	was := d.id
	var w standby
	if err := s.do(tk, member.Ready{Wait: &member.Wait{For: 5, Host: "A"}}); !errors.As(err, &w) || w.host() != "A" || d.id != was {
		t.Errorf("%v, as %v", err, d.id)
	}
}

// What the machines are told waits its turn: the answer to one event comes after
// those that were there before, and none is taken within another. All that becomes
// durable in a round does so with its entry.
func TestEventsInOrder(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	tk.m.Ready()
	base := weights(t, 1, 2)
	is := member.Stored{Content: base.ContentID(), Schema: base.Schema.Hash()}
	tk.latest = &arrived{is, base}
	s.tell(tk, member.ModelCame{Model: is})
	o := member.Order{Origin: testOrigin, Base: is.Content, Schema: is.Schema, Hash: is.Content}
	o.Work, o.Round, o.Attempt, o.SampleThreshold, o.ValidFrom = wire.WorkTrain, 1, 1, wire.SampleAll, 1
	s.tell(tk, member.Replied{Reply: wire.Welcome{FromRound: 1}})
	s.tell(tk, member.Ordered{Order: o})
	s.life = t.Context()
	if err := s.work(); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 0 || s.running == nil || s.running.job.Base != is.Content || len(d.calls) != 0 {
		t.Errorf("left %v, runs %+v, done %v", s.events, s.running, d.calls)
	}
	r := <-s.results
	if err := s.onResult(r); err != nil {
		t.Fatal(err)
	}
	if err := s.work(); err != nil || s.running != nil || !slices.Equal(d.calls, []string{"jot"}) || d.state[testTask].Seen.Round != 1 || d.models[testTask] == nil {
		t.Errorf("%v, runs %+v, done %v", err, s.running, d.calls)
	}
	s.goes.Wait()
}

// A job whose base has been replaced on the disk has none, and is no failure of the
// trainer's: the model is fetched again.
func TestWorksOnItsBase(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	_, tk := bench(t, d)
	base, other := weights(t, 1, 2), weights(t, 3, 4)
	if err := keep(d, testTask, other); err != nil {
		t.Fatal(err)
	}
	j := member.Job{Key: member.Key{Round: 1, Base: base.ContentID(), Work: wire.WorkTrain}, ID: 1}
	r := work(t.Context(), job{Job: j, task: testTask, member: testMember, trainer: tk.Trainer, disk: d})
	if !errors.Is(r.err, errNoModel) || !isGone(r.err) || r.tensors != nil || r.reason != "" {
		t.Errorf("%+v", r)
	}
}
