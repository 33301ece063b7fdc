package virtual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// worker counts the trainings that it has ended.
type worker struct {
	walker
	done *atomic.Int32
}

func (k worker) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	m, err := k.walker.Train(ctx, job, global)
	if err == nil {
		k.done.Add(1)
	}
	return m, err
}

// process starts a process of a member under a name of its own, with its own
// directory and host, and starts it again, as a supervisor does, when it was
// superseded.
func (w *world) process(name, member, dir, client string, tr worker, ends *atomic.Int32) {
	cfg := site.Config{
		Namespace: namespace, Member: member, DataDir: dir, Dial: w.dial(name), Host: name, ClientID: client,
		Tasks: []site.Task{{Name: taskName, Trainer: tr}}, Log: w.log.With().Str("party", name).Logger(),
	}
	w.start(name, func(ctx context.Context) error {
		for {
			err := site.Run(ctx, cfg)
			if err == nil || !errors.Is(err, site.ErrSuperseded) || !strings.Contains(err.Error(), "one configuration file") {
				return err
			}
			ends.Add(1)
			time.Sleep(time.Second)
		}
	})
}

// A configuration was copied to a second machine, whose client id is the same,
// or another: the first goes on, though it says nothing for long while it trains;
// the second waits; the owner names both. When the first is gone, the second takes
// over; when it comes back, it is the one that waits.
func TestTwoProcesses(t *testing.T) {
	hours(t)
	for name, client := range map[string]string{"one client id": "", "two client ids": "a/line-1:other"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				task := w.task()
				task.Rounds, task.Deadline, task.Members, task.StartWhen, task.Quorum = 40, 10*time.Minute, []string{"+/line-1"}, 1, 1
				w.aggregate(task)
				watcher := w.client("watch", own("round"), own("event"))
				var first, second, done1, done2 atomic.Int32
				w.process("A", three[0], filepath.Join(w.dir, "A"), "", worker{walker{takes: 4 * time.Minute}, &done1}, &first)
				watcher.awaitView("it is taken in", time.Minute, func(v view) bool { return v.Members == 1 })
				time.Sleep(2 * time.Minute)
				w.process("B", three[0], filepath.Join(w.dir, "B"), client, worker{walker{takes: 4 * time.Minute}, &done2}, &second)
				w.until("the owner names both", 7*time.Second, func() bool { return len(watcher.events("contested")) == 1 })
				w.recorded(10, "committed", time.Hour)
				if n := done2.Load(); n != 0 || first.Load()+second.Load() != 0 {
					t.Errorf("the second has trained %d times, the first ended %d times, the second %d times", n, first.Load(), second.Load())
				}
				for _, r := range w.all()[1:] {
					if counted(r) != 1 || r.Attempt != 1 {
						t.Errorf("round %d, attempt %d: %d counted", r.Round, r.Attempt, counted(r))
					}
				}
				told := watcher.events("contested")
				if n := len(told); n < 1 || n > 2 || !strings.Contains(told[0].Detail, "hosts A and B") {
					t.Errorf("told %+v", told)
				}
				if !strings.Contains(string(w.retained(own("round"))), `"hosts":["A","B"]`) {
					t.Errorf("the view does not say so: %s", w.retained(own("round")))
				}
				w.end("A")
				w.until("the second takes over", 15*time.Minute, func() bool { return done2.Load() > 0 })
				w.process("A", three[0], filepath.Join(w.dir, "A"), "", worker{walker{takes: 4 * time.Minute}, &done1}, &first)
				n := done1.Load()
				w.recorded(20, "committed", 2*time.Hour)
				if done1.Load() != n || first.Load()+second.Load() != 0 {
					t.Errorf("the first came back and has trained %d times", done1.Load()-n)
				}
			})
		})
	}
}

// A site that was killed, or ended, comes back without its data directory: the broker
// has said that the process is gone, or the process itself, and the one that comes need
// not wait until it was silent for long. That is no contest.
func TestLostDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		killed bool
		within time.Duration
	}{"killed": {true, 13 * time.Second}, "ended": {false, 3 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				task := w.task()
				task.Rounds, task.StartWhen, task.Quorum = 60, 1, 1
				w.aggregate(task)
				watcher := w.client("watch", own("event"))
				var ends atomic.Int32
				for life := range 3 {
					var trained atomic.Int32
					began := time.Now()
					w.process("A", three[0], filepath.Join(w.dir, fmt.Sprint(life)), "", worker{walker{takes: time.Second}, &trained}, &ends)
					w.until("it has trained", time.Minute, func() bool { return trained.Load() > 1 })
					if took := time.Since(began) - 2*time.Second; life > 0 && took > c.within {
						t.Errorf("life %d waited for %s", life, took)
					}
					if c.killed {
						w.bar("A")
						w.cut("A")
					}
					w.end("A")
					w.bar("")
				}
				if n := len(watcher.events("contested")); n > 0 || ends.Load() > 0 {
					t.Errorf("told %d times that there are two; ended %d times", n, ends.Load())
				}
			})
		})
	}
}

// A data directory was copied with the configuration: who comes first is told once
// that the other took over, and waits from then on, restarted as it is.
func TestCopiedDirectory(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.StartWhen, task.Quorum = 60, 1, 1
		w.aggregate(task)
		var first, second, done1, done2 atomic.Int32
		dirs := []string{filepath.Join(w.dir, "A"), filepath.Join(w.dir, "B")}
		w.process("A", three[0], dirs[0], "", worker{walker{takes: 20 * time.Second}, &done1}, &first)
		w.recorded(3, "committed", time.Hour)
		w.end("A")
		check(t, os.CopyFS(dirs[1], os.DirFS(dirs[0])))
		w.process("A", three[0], dirs[0], "", worker{walker{takes: 20 * time.Second}, &done1}, &first)
		w.recorded(5, "committed", time.Hour)
		w.process("B", three[0], dirs[1], "", worker{walker{takes: 20 * time.Second}, &done2}, &second)
		w.until("the copy takes over", time.Minute, func() bool { return done2.Load() > 0 })
		n := done1.Load()
		last := uint64(40)
		if racing.On {
			last = 15
		}
		w.recorded(last, "committed", time.Hour)
		if first.Load() > 1 || second.Load() > 0 || done1.Load() > n+1 {
			t.Errorf("the first ended %d times, the second %d times; the first trained %d times more", first.Load(), second.Load(), done1.Load()-n)
		}
	})
}
