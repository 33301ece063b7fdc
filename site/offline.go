package site

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Order is one piece of work without a broker.
type Order struct {
	Task, Member, Work string
	Round              uint64
	Attempt            uint32
	Settings           json.RawMessage
	Seed               uint64       // of the task
	Local              wire.Local   // what the strategy needs of the trainer
	Controls           *Controls    // where it needs a correction; nil: they are 0
	Base               *model.Model // whose memory the update takes
	Encoding           string       // of the update; "": dense
	Locals             model.Locals // tensors that stay with the member
	Memory             *Memory      // what the member has of earlier rounds; nil: nothing, and it is forgotten
}

// Memory is what a member without a disk keeps between rounds: what its updates leave over
// (E-7), and tensors of its own.
type Memory struct {
	private
	coming, rest, own []byte // the numbers of each
}

// Settled says what became of an update.
func (l *Memory) Settled(round uint64, counted bool) {
	was := l.Coming
	l.private = l.settled([]member.Settled{{Round: round, Counted: counted}}, nil)
	if was != nil && l.Coming == nil {
		if counted {
			l.rest = l.coming
		}
		l.coming = nil
	}
}

// numbers are those of a file of a site.
func (l *Memory) numbers(id model.Hash) ([]byte, error) {
	if l.Own != nil && l.Own.Content == id {
		return l.own, nil
	}
	return l.rest, nil
}

// keep takes what an update leaves over, and the tensors that stay here.
func (l *Memory) keep(r result, round uint64) {
	if r.own != nil {
		l.own, l.Own = r.own.Blob, &own{Content: r.own.ContentID(), Schema: r.own.Schema}
	}
	if r.rest != nil && !l.waits() {
		l.coming = r.rest
		l.Coming = &left{Rest: model.ContentOf(r.rest), Schema: r.tensors.Schema.Hash(), Round: round}
	}
}

// Do has a trainer answer an order as a site does that got it from a broker, with
// the same checks, and returns the update that would be sent. An error is what a
// decline says. What a panic of the trainer leaves is an error too.
func Do(ctx context.Context, t trainer.Trainer, o Order) (wire.Update, error) {
	if name, _ := trainer.UnknownSetting(trainer.SettingsOf(t), o.Settings); name != "" {
		return wire.Update{}, fmt.Errorf("%s: %s", wire.DeclineSetting, name)
	}
	if no := trainer.Lacking(trainer.CapabilitiesOf(t), o.Local.Needs); len(no) > 0 {
		return wire.Update{}, fmt.Errorf("%s: %s", wire.DeclineUnsupported, lacking(no))
	}
	j := job{
		Job: member.Job{
			Key: member.Key{Round: o.Round, Work: o.Work}, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Local: o.Local, Encoding: o.Encoding, Locals: o.Locals,
		},
		task: o.Task, member: o.Member, trainer: t, base: &held{model: o.Base}, offline: cmp.Or(o.Controls, &Controls{}),
	}
	l := cmp.Or(o.Memory, &Memory{})
	j.left, j.rest = func() private { return l.private }, l.numbers
	r := work(ctx, j)
	switch {
	case r.err != nil:
		return wire.Update{}, r.err
	case r.reason != "":
		return wire.Update{}, fmt.Errorf("%s: %s", r.reason, r.detail)
	case r.samples <= 0:
		return wire.Update{}, fmt.Errorf("%s: no training rows", wire.DeclineNoData)
	}
	l.keep(r, o.Round)
	return r.update(r.samples), nil
}
