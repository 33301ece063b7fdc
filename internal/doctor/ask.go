package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

// How an owner is asked: it answers once a second, and says once a second that it did.
// One that has retained nothing is asked once.
const (
	askTimes = 3
	askWait  = 2 * time.Second
)

// ask has the owner of each task that runs answer this site, where nothing came on
// reply yet (W-42). One that answers, or counts the question in its round, runs: its
// answer and what it has retained can be heard.
func (a *access) ask(ctx context.Context, said map[string]bool) error {
	var open []ask
	before := map[string]int{}
	for _, q := range a.me.asks {
		if !said[q.reply] && !a.heard(q.reply) && a.verdict[a.me.rule(true, q.join)] != Denied {
			open = append(open, q)
			before[q.round] = a.asked(q)
		}
	}
	keeps := slices.ContainsFunc(a.me.asks, func(q ask) bool { return slices.ContainsFunc(q.retained, a.heard) })
	for i := range askTimes {
		if len(open) == 0 || i > 0 && !keeps {
			return nil
		}
		if err := a.askOnce(ctx, open); err != nil {
			return err
		}
		a.gather(ctx, askWait, func() bool { return !slices.ContainsFunc(open, func(q ask) bool { return !a.heard(q.reply) }) })
		open = slices.DeleteFunc(open, func(q ask) bool {
			runs := a.heard(q.reply) || a.asked(q) > before[q.round]
			said[q.reply] = runs
			for _, topic := range append(a.modelOf(q), q.retained...) {
				said[topic] = said[topic] || runs && keeps
			}
			return runs
		})
	}
	return nil
}

// askOnce says the word on a connection of its own: a broker may cut it.
func (a *access) askOnce(ctx context.Context, open []ask) error {
	p, err := link.OpenProbe(ctx, a.me.id("asks"), false)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, q := range open {
		_, err := p.Publish(ctx, 1, link.Message{Topic: q.join, Payload: []byte(wire.DoctorWord), QoS: 1})
		if errors.Is(err, link.ErrCut) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *access) heard(topic string) bool { _, ok := a.got[topic]; return ok }

// asked is how many questions the owner counts, as far as that is heard.
func (a *access) asked(q ask) int {
	var view struct {
		Asked int `json:"asked"`
	}
	_ = json.Unmarshal(a.got[q.round], &view) // what is no JSON counts none
	return view.Asked
}

// modelOf is where the owner has said its model: below the root of bulk that its order
// names (T-21), nowhere as long as no order is heard.
func (a *access) modelOf(q ask) []string {
	in, _ := wire.Inspect(a.got[q.order]) // signed or not
	o, ok := in.Body.(wire.Order)
	if topic, has := q.models[o.Bulk]; ok && has {
		return []string{topic}
	}
	return nil
}
