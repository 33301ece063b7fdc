package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/topics"
)

// nowMS is a clock that does not fall: the wall clock of the start plus the
// monotonic time since.
func (a *aggregator) nowMS() int64 {
	return a.begun.UnixMilli() + a.cfg.Now().Sub(a.begun).Milliseconds()
}

// run is the driver's life: link and publisher start and end with it.
func (a *aggregator) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linkCtx, closeLink := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLink()
	linkDone, pubDone := make(chan error, 1), make(chan struct{})
	go func() { linkDone <- a.conn.Run(linkCtx) }()
	go func() { defer close(pubDone); a.pub.run(ctx) }()

	err := a.loop(ctx, linkDone)
	cancel()
	<-pubDone
	if a.up && !errors.Is(err, errLinkEnded) && !errors.Is(err, ErrFenced) {
		a.sayGoodbye(context.WithoutCancel(ctx)) // a successor has said that the node is online: do not contradict it
	}
	closeLink()
	if !errors.Is(err, errLinkEnded) {
		err = errors.Join(err, <-linkDone)
	}
	return err
}

// errLinkEnded: the connection gave up by itself.
var errLinkEnded = errors.New("aggregator: link ended")

func (a *aggregator) sayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := a.conn.Publish(ctx, a.stateMessage(false)); err != nil {
		a.log.Debug().Err(err).Msg("offline state not published")
	}
}

func (a *aggregator) loop(ctx context.Context, linkDone <-chan error) error {
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	defer a.startBy.Stop()
	defer a.heartbeat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-linkDone:
			return errors.Join(errLinkEnded, err)
		case s := <-a.conn.States():
			a.linkState(s)
		case m := <-a.conn.Messages():
			a.receive(m)
			a.drain()
		case out := <-a.pub.done:
			out.task.publishedOrder(out)
		case <-a.startBy.C:
			a.start()
		case <-a.heartbeat.C:
			a.beat()
		case <-wake.C:
			for _, t := range a.order {
				t.tick()
			}
		}
		next, err := a.work()
		if err != nil {
			return err
		}
		wake.Reset(next)
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// drain takes in what else has arrived, so that its verdicts share one
// transaction. It stops at anything that changes what the next message means:
// the start, an order, the end of an attempt.
func (a *aggregator) drain() {
	for range batch - 1 {
		for _, t := range a.order {
			if t.turned {
				return
			}
		}
		select {
		case m := <-a.conn.Messages():
			a.receive(m)
		default:
			return
		}
	}
}

// work does what the machines owe and returns the time until the next tick.
func (a *aggregator) work() (time.Duration, error) {
	next := time.Hour
	if !a.started {
		return next, nil
	}
	for _, t := range a.order {
		if err := t.work(); err != nil {
			return 0, fmt.Errorf("aggregator: task %s: %w", t.cfg.Name, err)
		}
	}
	now := a.nowMS()
	if a.up {
		a.state.mend(a, now)
		a.listen(now)
		next = min(next, until(now, a.state.repairAt(), a.echoBy))
	}
	for _, t := range a.order {
		next = min(next, t.due(now))
	}
	return max(next, time.Millisecond), nil
}

// until is the time from now to the first of some moments, all in ms; 0 is no
// moment. An hour stands for never.
func until(now int64, moments ...int64) time.Duration {
	next := time.Hour
	for _, at := range moments {
		if at > 0 {
			next = min(next, time.Duration(max(at-now, 0))*time.Millisecond)
		}
	}
	return next
}

// receive routes one message.
func (a *aggregator) receive(m link.Message) {
	if m.Topic == a.self.State() {
		a.ownState(m)
		return
	}
	at, err := a.ns.Parse(m.Topic)
	if err != nil {
		return
	}
	t := a.tasks[at.Task]
	if t == nil {
		return
	}
	if at.Path == a.cfg.Owner && !at.Kind.OfMember() {
		t.ownTopic(at, m)
		return
	}
	if len(m.Payload) == 0 || !a.started {
		return // cleared, or too early: the sender repeats
	}
	t.counts.bytesUp += int64(len(m.Payload))
	switch at.Kind {
	case topics.Join:
		t.join(at.Path, m)
	case topics.Update:
		t.update(at.Path, m)
	}
}

// start gives every machine its first event, once.
func (a *aggregator) start() {
	if a.started {
		return
	}
	a.startBy.Stop()
	a.started = true
	for _, t := range a.order {
		t.step(round.Started{Now: a.nowMS(), SeenEpoch: t.shown.order.Epoch, Instance: a.instance})
		if a.up {
			t.connected()
		}
	}
}
