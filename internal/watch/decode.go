package watch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/view"
)

// What is kept at most, whatever is published.
const (
	MaxPayload = 16 << 10 // bytes of one message; larger ones are not looked at
	MaxMembers = 16 << 10 // sites, over all tasks
	MaxTasks   = 32
	MaxRounds  = 512 // of a task's history
	MaxEvents  = 200 // of a task
	MaxMetrics = 48  // names in one message: a task's own 32, and those of package trainer
	maxName    = 64  // bytes of a metric's name
	maxWord    = 32  // bytes of a phase, a verdict, a kind
	maxText    = 300 // bytes of free text
	maxWaiting = 20  // members named by a round
	maxAsk     = 200 // exact topics of members asked for at once
)

// The JSON that is read beside that of package view. What a message has besides is not
// looked at.
type (
	kpiJSON struct {
		TimestampMS int64    `json:"timestamp_ms"`
		Value       *float64 `json:"value"`
	}
	eventJSON struct {
		view.Event
		Counts map[string]int `json:"counts"` // of a view.Counts
	}
	statusJSON struct {
		Schema      string             `json:"schema"`
		TimestampMS int64              `json:"timestamp_ms"`
		Phase       string             `json:"phase"`
		Round       uint64             `json:"round"`
		Attempt     uint64             `json:"attempt"`
		Progress    *float64           `json:"progress"`
		Samples     int                `json:"samples"`
		Message     string             `json:"message"`
		Error       string             `json:"error"`
		Metrics     map[string]float64 `json:"metrics"`
		Personal    *personalJSON      `json:"personal"`
	}
	// personalJSON is what a site has made of the released version for itself.
	personalJSON struct {
		Version uint64   `json:"version"`
		Done    bool     `json:"done"`
		Metric  string   `json:"metric"`
		Own     *float64 `json:"own"`
		Global  *float64 `json:"global"`
		Used    bool     `json:"used"`
		Note    string   `json:"note"`
	}
)

// read decodes b into v and compares the schema it then has.
func read(b []byte, v any, schema *string, want string) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if *schema != want {
		return fmt.Errorf("watch: schema %.64q, want %s", *schema, want)
	}
	return nil
}

// clip makes a text printable and at most limit bytes long: no control
// characters, which a terminal obeys, and none that turn the direction of what
// follows.
func clip[S ~string](text S, limit int) S {
	s := strings.Map(func(r rune) rune {
		switch {
		case r < ' ', 0x7f <= r && r < 0xa0, r == utf8.RuneError:
			return ' '
		case 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0xfeff:
			return -1
		}
		return r
	}, string(text[:min(len(text), 4*limit)]))
	if len(s) <= limit {
		return S(s)
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return S(s[:cut] + "…")
}

// clipNames keeps the first names of a map in order, cut.
func clipNames[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]V, min(len(m), MaxMetrics))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(out) == MaxMetrics {
			break
		}
		out[clip(k, maxName)] = m[k]
	}
	return out
}
