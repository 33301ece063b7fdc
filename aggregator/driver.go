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
	if err := a.oneCluster(ctx); err != nil {
		return err
	}
	linkDone, pubDone := make(chan error, 1), make(chan struct{})
	go func() { linkDone <- a.conn.Run(linkCtx) }()
	go func() { defer close(pubDone); a.pub.run(ctx) }()

	err := a.loop(ctx, linkDone)
	for _, t := range a.order {
		t.auditUnheard()
	}
	cancel()
	<-pubDone
	a.parts.goes.Wait()
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
		a.show()
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err := <-linkDone:
			return errors.Join(errLinkEnded, err)
		case s := <-a.conn.States():
			a.linkState(s)
		case m := <-a.conn.Messages():
			err = a.drain(m, a.conn.Messages())
		case c := <-a.parts.done:
			c.task.partOut(c)
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
		next := time.Duration(0)
		if err == nil {
			next, err = a.work(ctx)
		}
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

// drain takes in a message and what else has arrived, so that their verdicts
// share one transaction. It stops at anything that changes what the next
// message means (the start, an order, the end of an attempt), and when what is
// decoded takes much memory.
func (a *aggregator) drain(m link.Message, more <-chan link.Message) error {
	for taken := 1; ; taken++ {
		if err := a.receive(m); err != nil {
			return fmt.Errorf("aggregator: %w", err)
		}
		decoded := 0
		for _, t := range a.order {
			if t.turned {
				return nil
			}
			decoded += t.sum.decoded
		}
		if decoded > maxDecoded || taken == batch { // what is taken out of the queue is received
			return nil
		}
		select {
		case m = <-more:
		default:
			return nil
		}
	}
}

// work does what the machines owe and returns the time until the next tick.
func (a *aggregator) work(ctx context.Context) (time.Duration, error) {
	next := time.Hour
	if !a.started {
		return next, nil
	}
	if err := a.machines(); err != nil {
		return 0, err
	}
	if err := a.receiveParts(); err != nil {
		return 0, fmt.Errorf("aggregator: %w", err)
	}
	if err := a.machines(); err != nil { // uploads begin and end
		return 0, err
	}
	now := a.nowMS()
	for _, t := range a.order {
		t.mend(ctx, now)
	}
	if a.up {
		a.state.mend(a, now)
		a.listen(now)
		next = min(next, until(now, a.state.copy.RepairAt(), a.echoBy))
	}
	for _, t := range a.order {
		next = min(next, t.due(now))
	}
	next = min(next, until(now, a.recvAt))
	return max(next, time.Millisecond), nil
}

// machines does what the machines owe, and feeds them what was kept on disk.
func (a *aggregator) machines() error {
	for _, t := range a.order {
		err := t.work()
		if err == nil {
			err = t.acceptAgain()
		}
		if err != nil {
			return fmt.Errorf("aggregator: task %s: %w", t.cfg.Name, err)
		}
	}
	return nil
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
func (a *aggregator) receive(m link.Message) error {
	if m.Topic == a.self.State() {
		a.ownState(m)
		return nil
	}
	at, err := a.ns.Parse(m.Topic)
	if err != nil {
		return nil //nolint:nilerr // a topic that is none of ours
	}
	t := a.tasks[at.Task]
	if t == nil {
		return nil
	}
	if at.Path == a.cfg.Owner && !at.Kind.OfMember() {
		t.ownTopic(at, m)
		return nil
	}
	if len(m.Payload) == 0 || !a.started {
		return nil // cleared, or too early: the sender repeats
	}
	t.received(len(m.Payload))
	switch at.Kind {
	case topics.Join:
		t.join(at.Path, m)
	case topics.Update:
		t.update(at.Path, m)
	case topics.Part:
		return t.part(at.Path, m)
	case topics.Need:
		t.need(at.Path, m)
	}
	return nil
}

// start gives every machine its first event, once.
func (a *aggregator) start() {
	if a.started {
		return
	}
	a.startBy.Stop()
	a.started = true
	if a.up {
		a.recv.Connected(a.nowMS())
	}
	for _, t := range a.order {
		t.step(round.Started{SeenEpoch: t.shown.order.Epoch, Instance: a.instance})
		if a.up {
			t.connected()
		}
	}
}
