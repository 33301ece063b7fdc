package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/topics"
)

// run is the driver's life: the link starts and ends with it.
func (a *aggregator) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linkCtx, closeLink := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLink()
	if err := a.oneCluster(ctx); err != nil {
		return err
	}
	linkDone := make(chan error, 1)
	go func() { linkDone <- a.conn.Run(linkCtx) }()

	err := a.loop(ctx, linkDone)
	for _, t := range a.order {
		t.auditUnheard()
	}
	cancel()
	a.out.goes.Wait()
	a.out.flush()
	if a.up && !errors.Is(err, errLinkEnded) && !errors.Is(err, ErrFenced) {
		// In the queue of the presence, which would else overtake it. A successor
		// has said that the node is online: do not contradict it.
		a.conn.Post(a.stateMessage(false))
	}
	closeLink()
	if !errors.Is(err, errLinkEnded) {
		err = errors.Join(err, <-linkDone)
	}
	return err
}

// errLinkEnded: the connection gave up by itself.
var errLinkEnded = errors.New("aggregator: link ended")

func (a *aggregator) loop(ctx context.Context, linkDone <-chan error) error {
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	for {
		a.show()
		select {
		case <-ctx.Done():
			return nil
		case err := <-linkDone:
			return errors.Join(errLinkEnded, err)
		case s := <-a.conn.States():
			a.linkState(s)
		case m := <-a.conn.Messages():
			a.drain(m, a.conn.Messages())
		case told := <-a.out.done:
			told()
		case <-wake.C:
			a.machine.Step(a.nowMS(), owner.Tick{})
		}
		next, err := a.work(ctx)
		if err != nil {
			return err
		}
		wake.Reset(next)
	}
}

// drain takes in a message and what else has arrived, so that their verdicts
// share one transaction. It stops at anything that changes what the next
// message means (the start, an order, the end of an attempt), and when what is
// decoded takes much memory.
func (a *aggregator) drain(m link.Message, more <-chan link.Message) {
	for taken := 1; ; taken++ {
		a.receive(m)
		decoded := 0
		for _, t := range a.order {
			decoded += t.sum.decoded
		}
		if a.machine.Turned() || decoded > maxDecoded || taken == batch { // what is taken out of the queue is received
			return
		}
		select {
		case m = <-more:
		default:
			return
		}
	}
}

// work does what the machine owes and returns the time until it wants to be
// looked at again.
func (a *aggregator) work(ctx context.Context) (time.Duration, error) {
	rd := a.machine.Ready()
	for ; !rd.Empty(); rd = a.machine.Ready() {
		if err := a.do(ctx, rd); err != nil {
			return 0, err
		}
		a.out.start(ctx)
		if err := a.tell(rd); err != nil {
			return 0, err
		}
	}
	if a.machine.Started() && !a.begun {
		a.begun = true
		a.showAgain()
	}
	now := a.nowMS()
	next := until(now, rd.Wake)
	for _, t := range a.order {
		t.tend(now)
		next = min(next, t.due(now))
	}
	return max(next, time.Millisecond), nil
}

// do does what is owed once, for the node or for a task, and then tells the machine
// what came of it.
func (a *aggregator) do(ctx context.Context, rd owner.Ready) error {
	t := a.tasks[rd.Task]
	if t == nil {
		a.send(rd.Send)
		return nil
	}
	if err := t.do(ctx, rd); err != nil {
		return fmt.Errorf("aggregator: task %s: %w", rd.Task, err)
	}
	for _, ev := range t.answers {
		t.step(ev)
	}
	t.answers = nil
	return nil
}

// tell is the rest of do, behind what that has begun to publish.
func (a *aggregator) tell(rd owner.Ready) error {
	t := a.tasks[rd.Task]
	if t == nil {
		return nil
	}
	if err := t.tellAll(rd); err != nil {
		return fmt.Errorf("aggregator: task %s: %w", rd.Task, err)
	}
	return nil
}

// receive routes one message.
func (a *aggregator) receive(m link.Message) {
	if m.Topic == a.self.State() {
		a.ownState(m)
		return
	}
	at, err := a.ns.Parse(m.Topic)
	if err != nil {
		return // a topic that is none of ours
	}
	if at.Kind == topics.State {
		a.memberState(at.Path, m.Payload)
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
	if len(m.Payload) == 0 || !a.machine.Started() {
		return // cleared, or too early: the sender repeats
	}
	t.received(len(m.Payload))
	if at.Kind == topics.Status {
		t.heardUse(at.Path, m.Payload)
		return
	}
	if ev := t.heardOf(at.Path, at.Kind, m); ev != nil {
		t.step(ev)
	}
}
