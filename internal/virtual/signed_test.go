package virtual

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// byID finds the public key of a listed party, as records want it.
func (w *world) byID(kid [8]byte) (ed25519.PublicKey, bool) {
	for _, k := range w.keys {
		if wire.KeyIDOf(k.Public) == kid {
			return k.Public, true
		}
	}
	return nil, false
}

// With keys everything that is acted on is signed, records and their heads
// too, and sites settle by them.
func TestSigned(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sign(three...)
		w.aggregate(w.task())
		for _, m := range three {
			w.join(m, walker{})
		}
		c := w.client("watch", own("record"))
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		heads := c.all(own("record"))
		if len(heads) == 0 {
			t.Error("no heads")
		}
		for _, m := range heads {
			if err := record.VerifyHeadSig(m.Payload, w.byID); err != nil {
				t.Error(err)
			}
		}
		w.endAll()
		w.settled(three...)
		for _, r := range w.history() {
			raw, err := os.ReadFile(filepath.Join(w.dir, aggregatorName, "records", taskName, recordFile(r)))
			check(t, err)
			if err := record.VerifySig(raw, w.byID); err != nil || r.Security != record.Signed {
				t.Errorf("round %d: %s, %v", r.Round, r.Security, err)
			}
			if r.Work == "train" && counted(r) != 3 {
				t.Errorf("round %d: %d counted", r.Round, counted(r))
			}
		}
	})
}

// Without the right key nobody speaks for a member, and nobody fences the
// aggregator.
func TestForgeries(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sign(three[0], three[1], evil)
		outsider := w.newKey("outsider/line-1", topics.RoleSite)
		w.keys = w.keys[:len(w.keys)-1] // not on the list
		c, h := attack(w)
		send := func(as string, key *wire.Signer, want string) {
			t.Helper()
			u := wire.Update{Samples: 10, Tensors: w.delta(5, 5)}
			c.say(memberTopic(as, "update"), w.seal(as, wire.KindUpdate, h, u, key), false)
			c.awaitView("counted as "+want, 10*time.Second, func(v view) bool { return v.Refusals[want] > 0 })
		}
		send(three[1], nil, wire.ReasonBadSignature)       // unsigned
		send(three[1], outsider, wire.ReasonUnknownMember) // an unlisted key
		send(three[1], w.siteKey[evil], wire.ReasonWrongTopic)

		order, o := c.order()
		for _, key := range []*wire.Signer{nil, w.siteKey[evil], outsider} {
			forged := order
			forged.Epoch = 99
			c.forge(forged, o, key)
		}
		time.Sleep(10 * time.Second)
		if now, _ := openOrder(w, w.retained(own("order"))); now.Epoch != 1 {
			t.Errorf("the forged order of epoch %d stays", now.Epoch)
		}
		unharmed(w, verdict.Missing)
		w.end(aggregatorName)

		forged, o := c.order()
		forged.Epoch, forged.Round = 99, 50
		c.forge(forged, o, nil)
		task := w.task()
		task.Rounds = 1
		w.aggregate(task) // a forged order does not stop a start
		v := c.awaitView("the start", time.Minute, func(v view) bool { return v.Epoch > 1 })
		if v.Epoch != 2 {
			t.Errorf("epoch %d, want 2: the forged one does not count", v.Epoch)
		}
		forged.Epoch = 3
		c.forge(forged, o, w.aggKey)
		synctest.Wait()
		if err := w.leave(aggregatorName); !errors.Is(err, aggregator.ErrFenced) {
			t.Errorf("ended with %v, want ErrFenced", err)
		}
	})
}

// A command needs an operator's signature, made for the topic that it comes on; a
// site whose key is not listed stays outside.
func TestSignedCommands(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sign(three[:2]...)
		w.newKey("", topics.RoleOperator)
		w.siteKey[three[2]] = w.newKey(three[2], topics.RoleSite)
		w.keys = w.keys[:len(w.keys)-1] // not on the list
		task := w.task()
		task.StartWhen = 2
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 20 * time.Second})
		}
		c := w.client("operator", own("round"), own("event"))
		c.awaitView("the stranger is refused, the others are at work", time.Minute, func(v view) bool {
			return v.Refusals["unknown_member"] > 0 && v.Phase == "open"
		})
		time.Sleep(5 * time.Second) // commands are taken from here on
		c.command("1", "pause", 1, false)
		c.answered("refused: this task is signed")
		for _, place := range []string{"", namespace + "/_fl_v1/other/command", namespace + "/plant/_fl_v1/" + taskName + "/command", "acme2/_fl_v1/" + taskName + "/command"} {
			c.signedCommand("pause", place, w.origin(taskName))
			c.answered(fmt.Sprintf("refused: made for the topic %q", place))
		}
		c.signedCommand("pause", own("command"), wire.Nonce{1})
		c.answered("refused: made for the origin")
		c.signedCommand("pause", own("command"), w.origin(taskName))
		c.answered("pause: done")
		if r := w.recorded(1, record.Committed, time.Minute); r.Security != record.Signed || len(r.Entries) != 2 || counted(r) != 2 {
			t.Errorf("round 1: %s, %v; want signed, 2 counted of 2", r.Security, r.Counts())
		}
	})
}

// signedCommand says what the operator has signed for a topic and an origin.
func (c *client) signedCommand(op, place string, origin wire.Nonce) {
	c.w.t.Helper()
	b, err := json.Marshal(aggregator.Command{
		Schema: aggregator.CommandSchema, ID: op + " for " + place + origin.String()[:4], Command: round.Op(op), AtRound: 1, TimestampMS: 1, Topic: place, Origin: origin,
	})
	check(c.w.t, err)
	b, err = record.SignCommand(b, privateKey("", topics.RoleOperator))
	check(c.w.t, err)
	c.say(own("command"), b, false)
}
