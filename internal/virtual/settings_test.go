package virtual

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// noting notes the settings of each round.
type noting struct {
	walker
	mu     *sync.Mutex
	rounds map[uint64]string
}

func (n noting) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	n.mu.Lock()
	n.rounds[job.Round] = string(job.Settings)
	n.mu.Unlock()
	return n.walker.Train(ctx, job, global)
}

// A schedule changes a setting from round to round, an operator sets another between two,
// over a restart too, until it is taken back; an open round keeps what it was ordered with, and records say
// what was not as configured.
func TestSettingsOverTime(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Train = 6, json.RawMessage(`{"batch":8,"lr":0.5,"mode":"plain"}`)
		task.Schedule = map[string]aggregator.Schedule{"lr": {Decay: .5, Every: 2}}
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"))
		n := noting{walker{takes: 20 * time.Second}, new(sync.Mutex), map[uint64]string{}}
		w.join(three[0], n)
		for _, m := range three[1:] {
			w.join(m, walker{takes: 20 * time.Second})
		}
		send := func(id, settings, answer string) {
			t.Helper()
			doc := fmt.Sprintf(`{"schema":%q,"id":%q,"command":"set","at_round":%d,"args":{"settings":%s},"timestamp_ms":1}`, aggregator.CommandSchema, id, c.calm(), settings)
			c.say(own("command"), []byte(doc), false)
			c.answered(answer)
		}
		w.recorded(1, record.Committed, 5*time.Minute)
		time.Sleep(5 * time.Second) // round 2 is open
		send("a", `{"batch":64,"mode":"fast"}`, "set batch=64, mode=fast: done")
		send("b", `{"bach":64}`, `refused: set: "bach" is none of the settings below train: batch, lr, mode, nearest batch`)
		send("c", `{"batch":[64]}`, "refused: args: settings: batch: want a number, a text, or null")
		w.end(aggregatorName)
		w.aggregate(task)
		w.recorded(3, record.Committed, 5*time.Minute)
		time.Sleep(5 * time.Second)
		send("d", `{"batch":null,"lr":0.0625}`, "set batch as configured, lr=0.0625: done")
		w.finished(10 * time.Minute)
		w.endAll()
		want := map[uint64]string{
			1: `{"batch":8,"lr":0.5,"mode":"plain"}`, 2: `{"batch":8,"lr":0.5,"mode":"plain"}`,
			3: `{"batch":64,"lr":0.25,"mode":"fast"}`, 4: `{"batch":64,"lr":0.25,"mode":"fast"}`,
			5: `{"batch":8,"lr":0.0625,"mode":"fast"}`, 6: `{"batch":8,"lr":0.0625,"mode":"fast"}`,
		}
		for round, is := range want {
			if got := n.rounds[round]; got != is {
				t.Errorf("round %d: %s, want %s", round, got, is)
			}
		}
		for _, r := range w.history() {
			is, err := json.Marshal(r.Settings)
			check(t, err)
			want := map[uint64]string{
				1: `{"lr":0.5}`, 2: `{"lr":0.5}`, 3: `{"batch":64,"lr":0.25,"mode":"fast"}`, 4: `{"batch":64,"lr":0.25,"mode":"fast"}`,
				5: `{"lr":0.0625,"mode":"fast"}`, 6: `{"lr":0.0625,"mode":"fast"}`,
			}[r.Round]
			if r.Work == "train" && string(is) != want || r.Work != "train" && r.Settings != nil {
				t.Errorf("the record of round %d, attempt %d says %s, want %s", r.Round, r.Attempt, is, want)
			}
		}
	})
}

// picky declines a mode, after a while.
type picky struct{ noting }

func (p picky) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if strings.Contains(string(job.Settings), "bad") {
		time.Sleep(5 * time.Second)
		return nil, errors.New("no such mode")
	}
	return p.noting.Train(ctx, job, global)
}

// What no trainer takes blocks a round until it is corrected, and no longer: the attempt
// after one that all declined takes what is configured and set by then.
func TestCorrectedSettingsReachTheOpenRound(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Train = 3, json.RawMessage(`{"mode":"bad"}`)
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"))
		n := noting{walker{takes: 20 * time.Second}, new(sync.Mutex), map[uint64]string{}}
		for _, m := range three {
			w.join(m, picky{n})
		}
		w.recorded(1, record.Abandoned, 5*time.Minute)
		w.end(aggregatorName)
		task.Train = json.RawMessage(`{"mode":"good"}`)
		w.aggregate(task)
		w.recorded(1, record.Committed, 10*time.Minute)
		set := func(id, mode string) {
			t.Helper()
			doc := fmt.Sprintf(`{"schema":%q,"id":%q,"command":"set","args":{"settings":{"mode":%s}},"timestamp_ms":1}`, aggregator.CommandSchema, id, mode)
			c.say(own("command"), []byte(doc), false)
		}
		time.Sleep(5 * time.Second) // round 2 is open
		set("a", `"bad as well"`)
		c.answered("set mode=bad as well: done")
		w.recorded(2, record.Committed, 10*time.Minute)
		time.Sleep(time.Second) // round 3 is open: the attempt after this one opens as it is given up
		set("b", `null`)
		c.answered("set mode as configured: done")
		if r := w.recorded(3, record.Committed, 10*time.Minute); r.Attempt != 2 {
			t.Errorf("round 3 was committed by attempt %d, want the one after that which all declined", r.Attempt)
		}
		w.endAll()
		for round := range uint64(3) {
			if got := n.rounds[round+1]; got != `{"mode":"good"}` {
				t.Errorf("round %d was trained with %s", round+1, got)
			}
		}
		for _, r := range w.history() {
			is, err := json.Marshal(r.Settings)
			check(t, err)
			if want := map[bool]string{true: `{"mode":"bad as well"}`}[r.Round == 3 && r.Verdict == record.Abandoned]; r.Settings != nil && string(is) != want {
				t.Errorf("the record of round %d, attempt %d, says %s, want %s", r.Round, r.Attempt, is, want)
			}
		}
	})
}

// A setting that one member takes and the others decline does not hold the round for good:
// once another one is set, that member's update lapses, and all train again.
func TestSetAfterOneHasTakenIt(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Train = 2, json.RawMessage(`{"mode":"good"}`)
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"))
		n := noting{walker{takes: 20 * time.Second}, new(sync.Mutex), map[uint64]string{}}
		w.join(three[0], n)
		for _, m := range three[1:] {
			w.join(m, picky{n})
		}
		set := func(mode, id string) {
			t.Helper()
			doc := fmt.Sprintf(`{"schema":%q,"id":%q,"command":"set","args":{"settings":{"mode":%s}},"timestamp_ms":1}`, aggregator.CommandSchema, id, mode)
			c.say(own("command"), []byte(doc), false)
		}
		time.Sleep(5 * time.Second) // round 1 is open
		set(`"bad"`, "a")
		c.answered("set mode=bad: done")
		first := w.recorded(2, record.Abandoned, 10*time.Minute)
		if got := first.Counts()["kept"]; got != 1 {
			t.Errorf("%v, want one that is kept", first.Counts())
		}
		set(`null`, "b")
		c.answered("set mode as configured: done")
		last := w.recorded(2, record.Committed, 10*time.Minute)
		w.endAll()
		if got := n.rounds[2]; got != `{"mode":"good"}` || last.Counts()["counted"] != 3 || last.Settings != nil {
			t.Errorf("round 2 was trained with %s by %v, settings %v", got, last.Counts(), last.Settings)
		}
	})
}
