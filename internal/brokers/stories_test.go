package brokers

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// story is what happens to a federation. Unless it says otherwise the
// federation ends with the bits of the undisturbed one: its quorum is everybody.
type story struct {
	name  string
	title string // in the table
	work  workload
	other bool // another accepted set: other bits
	own   bool // a broker of its own, that is stopped and started, or may break
	kept  bool // ... and keeps its data
	quick bool // on every broker, also in quick mode
	roomy bool // where the packet limit is below the default part size: with a higher one, if it is known how
	run   func(*federation) (note string, err error)
}

// patience is how long a federation may take after its fault.
const patience = 150 * time.Second

var stories = []story{
	{name: "inline", title: "a model in one message", work: small, quick: true, run: undisturbed},
	{name: "parts", title: "12 MB, in parts", work: large, roomy: true, run: undisturbed},
	{name: "late", title: "a site joins late", work: pair(small), other: true, run: lateJoiner},
	{name: "site", title: "a site is killed", work: small, run: siteKilled},
	{name: "aggregator", title: "the aggregator is killed", work: small, run: aggregatorKilled},
	{name: "broker-kept", title: "the broker restarts", work: small, own: true, kept: true, run: brokerRestarts},
	{name: "broker-lost", title: "the broker is killed and forgets all", work: small, own: true, run: brokerForgets},
	{name: "erased", title: "retained messages are erased", work: small, run: retainedErased},
	{name: "garbage", title: "garbage retained on every topic", work: small, run: garbage},
	{name: "client-id", title: "a second client with a site's id", work: small, own: true, run: sameClientID},
}

// pair is a workload for which two sites are enough.
func pair(w workload) workload { w.quorum = 2; return w }

func undisturbed(f *federation) (string, error) {
	f.startAll()
	return "", f.finish(patience)
}

// lateJoiner starts the last site when the others have trained once.
func lateJoiner(f *federation) (string, error) {
	f.startAggregator()
	f.startSite(slow)
	f.startSite(0)
	if err := f.training(2); err != nil {
		return "", err
	}
	f.startSite(1)
	if err := f.finish(patience); err != nil {
		return "", err
	}
	o, err := f.check()
	if err == nil && o.counted[members[1]] == 0 {
		err = errors.New("the late site was never counted")
	}
	return "", err
}

// siteKilled kills a site in the middle of its training.
func siteKilled(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	f.sites[slow].Kill()
	f.startSite(slow)
	return "", f.finish(patience)
}

func aggregatorKilled(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	f.agg.Kill()
	f.startAggregator()
	return "", f.finish(patience)
}

// brokerRestarts stops the broker politely, and starts it with its data. When
// all is over it does so once more with nobody else there: a model that a
// subscriber then gets was kept by the broker.
func brokerRestarts(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	if err := f.restartBroker(syscall.SIGTERM); err != nil {
		return "", err
	}
	if err := f.finish(patience); err != nil {
		return "", err
	}
	o, err := f.check()
	if err != nil {
		return "", err
	}
	if err := f.restartBroker(syscall.SIGTERM); err != nil {
		return "", err
	}
	if err := f.checkRetained(o.model); err == nil {
		return "the broker kept the model", nil
	}
	f.startAggregator() // has finished: it publishes what is missing, and ends
	if err := f.finish(patience); err != nil {
		return "", err
	}
	return "the broker lost the model, the aggregator put it back", f.checkRetained(o.model)
}

// brokerForgets kills the broker, and starts an empty one.
func brokerForgets(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	if err := f.restartBroker(syscall.SIGKILL); err != nil {
		return "", err
	}
	return "", f.finish(patience)
}

func (f *federation) restartBroker(s syscall.Signal) error {
	if s == syscall.SIGTERM {
		f.broker.p.Stop()
	} else {
		f.broker.p.Kill()
	}
	return f.broker.up(f.t)
}

// retainedErased has somebody clear what the aggregator and the sites retain,
// under their live links, and kills a site so that it needs the order and the
// model again.
func retainedErased(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	o, err := f.ns.Owner("", task)
	if err != nil {
		return "", err
	}
	var empty []link.Message
	for _, t := range []string{o.State(), o.Round(), o.Record(), o.Order(), o.Model(), o.KPI("rmse")} {
		empty = append(empty, link.Message{Topic: t, QoS: 1, Retained: true})
	}
	if err := f.publish(empty...); err != nil {
		return "", err
	}
	f.sites[slow].Kill()
	f.startSite(slow)
	return "", f.finish(patience)
}

// garbage is retained on every topic before anybody is there.
func garbage(f *federation) (string, error) {
	payloads := [][]byte{
		[]byte("garbage"), []byte("{}"), []byte(`{"schema":"fedmq.command.v1","command":"stop","id":"x","at_round":1}`), bytes.Repeat([]byte{0x91}, 512),
		{0x94, 0x01, 0xc4, 0x00, 0xc4, 0x00, 0xc4, 0x00},
		{0xc6, 0xff, 0xff, 0xff, 0xff},
		[]byte("null"),
		{0},
	}
	var all []link.Message
	for i, t := range everyTopic(f.ns) {
		all = append(all, link.Message{Topic: t, Payload: payloads[i%len(payloads)], QoS: 1, Retained: true})
	}
	if err := f.publish(all...); err != nil {
		return "", err
	}
	f.startAll()
	return "", f.finish(patience)
}

// everyTopic lists the topics of the grammar, with a few parts of each.
func everyTopic(ns topics.Namespace) []string {
	var out []string
	add := func(t topics.Topic) {
		if s, err := ns.Build(t); err == nil {
			out = append(out, s)
		}
	}
	for kind := topics.State; kind.String() != ""; kind++ {
		for _, path := range append([]string{""}, members...) {
			add(topics.Topic{Kind: kind, Path: path, Task: task})
			add(topics.Topic{Kind: kind, Path: path})
			add(topics.Topic{Kind: kind, Path: path, Task: task, Name: "rmse"})
			for _, m := range members {
				add(topics.Topic{Kind: kind, Path: path, Task: task, Member: m})
				add(topics.Topic{Kind: kind, Path: path, Task: task, Member: m, Phase: "inbox"})
			}
			for _, phase := range []string{"peers", "survivors", "acks", "keys", "shares", "ack", "unmask", "complaint"} {
				add(topics.Topic{Kind: kind, Path: path, Task: task, Phase: phase})
				add(topics.Topic{Kind: kind, Path: path, Task: task, Phase: phase, Slot: 1, Part: 2})
			}
			for slot := range 2 {
				add(topics.Topic{Kind: kind, Path: path, Task: task, Slot: slot, Part: 3})
			}
		}
	}
	return out
}

// sameClientID connects three times with the client id of the site that trains,
// which loses its link each time.
func sameClientID(f *federation) (string, error) {
	f.startAll()
	if err := f.training(2); err != nil {
		return "", err
	}
	for range 3 {
		if err := f.takeOver(f.clientID(slow)); err != nil {
			return "", err
		}
	}
	return "", f.finish(patience)
}

// takeOver connects with a client id that is in use, and waits until its owner
// is back.
func (f *federation) takeOver(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p, err := f.client(ctx, id)
	for errors.Is(err, link.ErrCut) { // the owner connected in the same moment
		p, err = f.client(ctx, id)
	}
	if err != nil {
		return err
	}
	select {
	case <-p.Lost():
	case <-ctx.Done():
	}
	p.Cut()
	return nil
}
