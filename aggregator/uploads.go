package aggregator

import (
	"cmp"
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// upload is an update that comes, or is to come, in parts.
type upload struct {
	task  *task
	offer wire.Offer
	ev    round.Update // what the machine is told when it is complete
	stage *store.Stage // nil: it waits
	got   int64        // bytes of it that are there
	told  uint32       // the attempt in which the machine heard that it runs
}

func (t *task) key(member string) transfer.Key { return transfer.Key{Task: t.cfg.Name, Member: member} }

// offered passes an offer to the machine, which admits or refuses it.
func (t *task) offered(ev round.Update, o wire.Offer) {
	ev.Content, ev.Samples, ev.Offer = o.Content, o.Samples, true
	t.offers[contentKey{ev.Member, o.Content}] = &upload{task: t, offer: o, ev: ev}
	t.step(ev)
}

// admit hands an offer to the receiver. What was offered for a round or an
// attempt that has ended in the same batch is not wanted any more.
func (t *task) admit(m round.SendAdmit) {
	up, key := t.offers[contentKey{m.Member, m.Content}], t.key(m.Member)
	if up == nil || m.Round != t.state.Round || m.Attempt < t.state.ValidFrom {
		return
	}
	if had := t.a.uploads[key]; had != nil {
		up.stage, up.got, up.told = had.stage, had.got, had.told // the receiver says whether that lasts
		up.ev.Bytes += had.ev.Bytes
	}
	t.a.uploads[key] = up
	t.a.recv.Offer(t.a.nowMS(), transfer.Upload{
		Key: key, Round: m.Round, Attempt: m.Attempt, Content: up.offer.Content, Blob: up.offer.Blob,
		Within: int64(t.state.Order.DeadlineMS), Counted: m.Counted, // #nosec G115 -- checked with the settings
	})
}

// part takes a part of an upload: its hash is proven by the receiver, its
// values here, before it is staged.
func (t *task) part(path string, m link.Message) error {
	p, err := wire.DecodePart(m.Payload, t.a.cfg.PartSize)
	if err != nil {
		t.refuse(path, wire.Header{}, err)
		return nil
	}
	key := t.key(path)
	off, v := t.a.recv.Part(t.a.nowMS(), key, p)
	up := t.a.uploads[key]
	if v == transfer.Bad {
		t.count(verdict.Malformed)
	}
	if v != transfer.Wanted || up == nil || up.stage == nil {
		return nil
	}
	up.got += int64(len(p.Data))
	up.ev.Bytes += int64(len(m.Payload))
	t.viewDue = true
	if up.told != t.state.Attempt {
		t.uploading(up, true)
	}
	if problem, detail := t.sum.checkPart(up.offer.Samples, p.Data, off); problem != verdict.None {
		t.drop(key)
		ev := up.complete()
		ev.Problem, ev.Detail = problem, detail
		t.step(ev)
		return nil
	}
	crash.At("part.before-write")
	return up.stage.WriteAt(p.Data, off)
}

// complete is the event of an upload that has arrived, or is found bad.
func (up *upload) complete() round.Update {
	ev := up.ev
	ev.Offer = false
	return ev
}

// uploading tells the machine of an upload.
func (t *task) uploading(up *upload, on bool) {
	up.told = t.state.Attempt
	t.step(round.Uploading{Member: up.ev.Member, On: on})
}

// drop ends an upload, however far it came.
func (t *task) drop(key transfer.Key) {
	up := t.a.uploads[key]
	if up == nil {
		return
	}
	delete(t.a.uploads, key)
	t.a.recv.Withdraw(t.a.nowMS(), key)
	t.a.release(up.stage)
	if up.stage != nil {
		t.uploading(up, false)
	}
}

// dropAll ends every upload of the task: its round is over, or has started
// over.
func (t *task) dropAll() {
	for _, key := range t.a.uploadsOf(t) {
		t.drop(key)
	}
}

// uploadsOf lists the uploads of a task by member.
func (a *aggregator) uploadsOf(t *task) []transfer.Key {
	var keys []transfer.Key
	for key := range a.uploads {
		if key.Task == t.cfg.Name {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(x, y transfer.Key) int { return cmp.Compare(x.Member, y.Member) })
	return keys
}

// release gives up a staging place. Closing a file that is not needed any more
// can only fail on a disk that fails, which the next write tells.
func (a *aggregator) release(st *store.Stage) {
	if st == nil {
		return
	}
	if err := st.Release(); err != nil {
		a.log.Error().Err(err).Msg("staging")
	}
}

// receiveParts does what the receiver owes: staging places, grants, and the
// updates that are complete.
func (a *aggregator) receiveParts() error {
	a.recv.Tick(a.nowMS())
	for {
		rd := a.recv.Ready()
		a.recvAt = rd.Wake
		if len(rd.Release)+len(rd.Admit)+len(rd.Grants)+len(rd.Waits)+len(rd.Complete) == 0 {
			return nil
		}
		if err := a.stagingPlaces(rd); err != nil {
			return err
		}
		for _, g := range rd.Grants {
			a.tasks[g.Key.Task].reply(g.Key.Member, g.Reply)
			crash.At("grant.after-publish")
		}
		for _, w := range rd.Waits {
			a.tasks[w.Key.Task].reply(w.Key.Member, w.Reply)
		}
		for _, key := range rd.Complete {
			if err := a.take(key); err != nil {
				return err
			}
		}
	}
}

func (a *aggregator) stagingPlaces(rd transfer.RecvReady) error {
	for _, key := range rd.Release {
		if up := a.uploads[key]; up != nil && up.stage != nil {
			a.release(up.stage)
			up.stage, up.got = nil, 0
			up.task.uploading(up, false) // it waits: nothing of it is under way
		}
	}
	for _, key := range rd.Admit {
		up := a.uploads[key]
		if up == nil {
			continue
		}
		var err error
		if up.stage, err = a.staging.Create(int(up.offer.Blob.Length)); err != nil { // #nosec G115 -- the schema's size
			return err
		}
		up.task.uploading(up, true)
		up.task.event(round.Fact{
			Kind: round.FactOffered, Round: up.task.state.Round, Attempt: up.task.state.Attempt,
			Member: up.ev.Member, Content: up.ev.Content,
		})
	}
	return nil
}

// take checks a complete upload as a whole and has the machine judge it. It is
// read into the task's buffer, so the machine's work is done at once.
func (a *aggregator) take(key transfer.Key) error {
	up := a.uploads[key]
	a.recv.Done(a.nowMS(), key)
	if up == nil || up.stage == nil {
		return nil
	}
	t := up.task
	delete(a.uploads, key)
	s := &staged{content: up.offer.Content, samples: up.offer.Samples, metrics: up.offer.Metrics, stage: up.stage}
	if err := t.sum.borrow(s, up.offer.Schema); err != nil {
		return err
	}
	ev := up.complete()
	if got := model.HashOf(s.raw); got != s.content {
		ev.Problem, ev.Detail = verdict.Malformed, "the parts together are not the content that the offer names"
	} else {
		var err error
		if ev.Problem, ev.Detail, ev.Norm, err = t.sum.check(s); err != nil {
			t.log.Warn().Err(err).Str("member", ev.Member).Msg("no room for the update in this round; it waits")
			a.release(s.stage)
			t.uploading(up, false)
			return t.work()
		}
	}
	t.sum.await(ev.Member, s)
	t.step(ev)
	t.uploading(up, false)
	err := t.work()
	if t.sum.in[ev.Member] != s {
		t.sum.letGo(s)
	}
	return err
}
