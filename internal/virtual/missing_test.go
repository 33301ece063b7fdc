package virtual

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// unwilling trains nothing.
type unwilling struct{ walker }

func (unwilling) Train(context.Context, trainer.Job, *model.Model) (*model.Model, error) {
	return nil, errors.New("not today")
}

// The aggregator names those whom it welcomed and who sent nothing in an attempt, the
// first twenty of them, and not who delivered or declined.
func TestSilentMembersAreNamed(t *testing.T) {
	inBubble(t, func(w *world) {
		log := &sink{}
		w.set = func(cfg *aggregator.Config) { cfg.Log = zerolog.New(log) }
		const silent = 25
		task := w.task()
		task.Members, task.StartWhen, task.Quorum, task.Rounds = []string{"+/line-1"}, silent+2, 1, 1
		w.aggregate(task)
		c := w.client("members", own("order"))
		time.Sleep(5 * time.Second)
		name := func(i int) string { return fmt.Sprintf("s%02d/line-1", i) }
		for i := range silent {
			c.signUp(name(i), 10, nil)
		}
		w.join("a/line-1", walker{})
		w.join("b/line-1", unwilling{})
		w.recorded(1, record.Committed, 5*time.Minute)
		lines := log.at("warn", "welcomed and sent no update")
		if len(lines) != 1 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		var said struct {
			Level, Task   string
			Round, Silent int
			Members       []string
		}
		check(t, json.Unmarshal([]byte(lines[0]), &said))
		var want []string
		for i := range 20 {
			want = append(want, name(i))
		}
		if said.Level != "warn" || said.Task != taskName || said.Round != 1 || said.Silent != silent || !slices.Equal(said.Members, want) {
			t.Errorf("it says %s", strings.TrimSpace(lines[0]))
		}
	})
}
