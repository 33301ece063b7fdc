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
			Key: member.Key{Round: o.Round, Work: o.Work}, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Local: o.Local,
		},
		task: o.Task, member: o.Member, trainer: t, base: &held{model: o.Base}, offline: cmp.Or(o.Controls, &Controls{}),
	}
	r := work(ctx, j)
	switch {
	case r.err != nil:
		return wire.Update{}, r.err
	case r.reason != "":
		return wire.Update{}, fmt.Errorf("%s: %s", r.reason, r.detail)
	case r.samples <= 0:
		return wire.Update{}, fmt.Errorf("%s: no training rows", wire.DeclineNoData)
	}
	return r.update(r.samples), nil
}
