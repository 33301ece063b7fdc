package watch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is kept at most, whatever is published.
const (
	MaxPayload = 16 << 10 // bytes of one message; larger ones are not looked at
	MaxMembers = 16 << 10 // sites, over all tasks
	MaxTasks   = 32
	MaxRounds  = 512 // of a task's history
	MaxEvents  = 200 // of a task
	MaxMetrics = 24  // names in one message
	maxName    = 64  // bytes of a metric's name
	maxWord    = 32  // bytes of a phase, a verdict, a kind
	maxText    = 300 // bytes of free text
	maxWaiting = 20  // members named by a round
	maxAsk     = 200 // exact topics of members asked for at once
)

// The JSON that is read. What a message has besides is not looked at.
type (
	stateJSON struct {
		Schema   string   `json:"schema"`
		Online   bool     `json:"online"`
		Roles    []string `json:"roles"`
		Tasks    []string `json:"tasks"`
		Agent    string   `json:"agent"`
		Security string   `json:"security"`
	}
	roundJSON struct {
		Schema      string         `json:"schema"`
		TimestampMS int64          `json:"timestamp_ms"`
		Epoch       uint64         `json:"epoch"`
		Round       uint64         `json:"round"`
		Attempt     uint64         `json:"attempt"`
		Phase       string         `json:"phase"`
		Work        string         `json:"work"`
		TrainRounds uint64         `json:"train_rounds"`
		Reason      string         `json:"reason"`
		Pause       string         `json:"pause"`
		Origin      string         `json:"origin"`
		Version     uint64         `json:"version"`
		Model       string         `json:"model"`
		Members     int            `json:"members"`
		Cohort      int            `json:"cohort"`
		Accepted    int            `json:"accepted"`
		WaitingFor  []string       `json:"waiting_for"`
		Waiting     *waitJSON      `json:"waiting"`
		Away        []awayJSON     `json:"away"`
		Contested   []ContestView  `json:"contested"`
		Quorum      int            `json:"quorum"`
		OpenedMS    int64          `json:"opened_ms"`
		DeadlineMS  uint64         `json:"deadline_ms"`
		Last        lastJSON       `json:"last"`
		Refusals    map[string]int `json:"refusals"`
		Security    string         `json:"security"`
	}
	waitJSON struct {
		Why     string   `json:"why"`
		Members []string `json:"members"`
		Here    int      `json:"here"`
		Want    int      `json:"want"`
		SinceMS int64    `json:"since_ms"`
		UntilMS int64    `json:"until_ms"`
		Do      string   `json:"do"`
	}
	awayJSON struct {
		Member  string `json:"member"`
		SinceMS int64  `json:"since_ms"`
		Left    bool   `json:"left"`
	}
	lastJSON struct {
		Round   uint64             `json:"round"`
		Attempt uint64             `json:"attempt"`
		Work    string             `json:"work"`
		Verdict string             `json:"verdict"`
		Reason  string             `json:"reason"`
		Counted int                `json:"counted"`
		Kept    int                `json:"kept"`
		Members int                `json:"members"`
		Seconds float64            `json:"seconds"`
		Metrics map[string]float64 `json:"metrics"`
	}
	kpiJSON struct {
		TimestampMS int64    `json:"timestamp_ms"`
		Value       *float64 `json:"value"`
	}
	eventJSON struct {
		Schema      string         `json:"schema"`
		TimestampMS int64          `json:"timestamp_ms"`
		Event       string         `json:"event"`
		Round       uint64         `json:"round"`
		Attempt     uint64         `json:"attempt"`
		Work        string         `json:"work"`
		Member      string         `json:"member"`
		Reason      string         `json:"reason"`
		Detail      string         `json:"detail"`
		Count       int            `json:"count"`
		Counts      map[string]int `json:"counts"`
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
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ', 0x7f <= r && r < 0xa0, r == utf8.RuneError:
			return ' '
		case 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0xfeff:
			return -1
		}
		return r
	}, s[:min(len(s), 4*limit)])
	if len(s) <= limit {
		return s
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
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
