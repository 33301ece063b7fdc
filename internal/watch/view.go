package watch

import (
	"fmt"
	"maps"
	"time"
)

// View is what is known, or what has changed since an earlier View. Times are
// epoch milliseconds of the machine that watches. Full says that it is complete:
// whoever has an older one begins anew.
type View struct {
	Full    bool       `json:"full"`
	Seq     uint64     `json:"seq"`
	NowMS   int64      `json:"now_ms"`
	Link    LinkView   `json:"link"`
	Owner   OwnerView  `json:"owner"`
	Ignored uint64     `json:"ignored"` // messages that were not understood
	Crowded uint64     `json:"crowded"` // messages of sites beyond MaxMembers
	Tasks   []TaskView `json:"tasks"`
	Sites   []SiteView `json:"sites"`

	Consumers []ConsumerView `json:"consumers,omitempty"` // who uses what is released
}

// LinkView is the connection to the broker.
type LinkView struct {
	Up      bool   `json:"up"`
	SinceMS int64  `json:"since_ms"`
	Reason  string `json:"reason,omitempty"`
}

// OwnerView is the aggregator's presence.
type OwnerView struct {
	Path     string `json:"path"`
	Known    bool   `json:"known"`
	Online   bool   `json:"online"`
	SinceMS  int64  `json:"since_ms"`
	Agent    string `json:"agent,omitempty"`
	Security string `json:"security,omitempty"`
}

// TaskView is a task and its current round. Rounds and Events hold those that
// are new or have changed.
type TaskView struct {
	Name        string             `json:"name"`
	Epoch       uint64             `json:"epoch"`
	Round       uint64             `json:"round"`
	Attempt     uint64             `json:"attempt"`
	Phase       string             `json:"phase"` // "" until the aggregator has spoken
	Work        string             `json:"work"`
	TrainRounds uint64             `json:"train_rounds"`
	Reason      string             `json:"reason,omitempty"`
	Version     uint64             `json:"version"`
	Model       string             `json:"model"`
	Members     int                `json:"members"`
	Cohort      int                `json:"cohort"`
	Accepted    int                `json:"accepted"`
	Quorum      int                `json:"quorum"`
	WaitingFor  []string           `json:"waiting_for,omitempty"`
	Waiting     *WaitView          `json:"waiting,omitempty"`   // nil once it has ended, and before it is known
	Away        []WhoView          `json:"away,omitempty"`      // who is not asked
	Abandoned   *AbandonedView     `json:"abandoned,omitempty"` // the attempt of this round before this one
	Contested   []ContestView      `json:"contested,omitempty"`
	OpenedMS    int64              `json:"opened_ms"`
	DeadlineMS  int64              `json:"deadline_ms"` // a point in time, 0 if none runs
	Refusals    map[string]int     `json:"refusals,omitempty"`
	Security    string             `json:"security"`
	HeardMS     int64              `json:"heard_ms"`
	Standings   map[Standing]int   `json:"standings"`
	Best        *BestView          `json:"best,omitempty"`      // the version that did best so far
	Released    uint64             `json:"released,omitempty"`  // the version that is approved for use; 0: none
	Candidate   uint64             `json:"candidate,omitempty"` // one that waits for an operator's release
	Canary      *CanaryView        `json:"canary,omitempty"`    // a version that some nodes run first
	Shown       string             `json:"shown,omitempty"`     // the metric that is shown first
	Guess       map[string]float64 `json:"guess,omitempty"`     // what the best constant guess has
	Rounds      []RoundView        `json:"rounds,omitempty"`
	Events      []EventView        `json:"events,omitempty"`
}

// BestView is a version of the model, and what it came to by the metric that decides.
type BestView struct {
	Version uint64  `json:"version"`
	Metric  string  `json:"metric"`
	Value   float64 `json:"value"`
}

// CanaryView is a version that some nodes run before all.
type CanaryView struct {
	Version uint64   `json:"version"`
	To      []string `json:"to"` // filters of their paths
	Held    bool     `json:"held,omitempty"`
}

// WaitView is what a task waits for (round.Wait), in this machine's time, with
// what is known of each member.
type WaitView struct {
	Why     string    `json:"why"`
	Members []WhoView `json:"members,omitempty"`
	More    int       `json:"more,omitempty"` // members that are not named
	Here    int       `json:"here"`
	Want    int       `json:"want"`
	SinceMS int64     `json:"since_ms"`
	UntilMS int64     `json:"until_ms,omitempty"`
	Do      string    `json:"do"`
}

// WhoView is a member, what it does instead, and since when.
type WhoView struct {
	Path    string `json:"path"`
	Why     string `json:"why,omitempty"`
	SinceMS int64  `json:"since_ms,omitempty"`
}

// AbandonedView is an attempt that came to nothing.
type AbandonedView struct {
	Attempt uint64 `json:"attempt"`
	Reason  string `json:"reason"`
	Kept    int    `json:"kept"` // updates that the next attempt has
	Members int    `json:"members"`
}

// ContestView is a member that two processes claim.
type ContestView struct {
	Member  string    `json:"member"`
	SinceMS int64     `json:"since_ms"` // of the aggregator's clock
	Hosts   [2]string `json:"hosts"`    // of the process that speaks for it, and of the one that waits
}

// String says it as the dashboard does.
func (c ContestView) String() string {
	return fmt.Sprintf("%s: two processes since %s, hosts %s and %s", c.Member, time.UnixMilli(c.SinceMS).Format("15:04"), c.Hosts[0], c.Hosts[1])
}

// RoundView is one attempt of a round that has a record.
type RoundView struct {
	Round     uint64                `json:"round"`
	Attempt   uint64                `json:"attempt"`
	SeenMS    int64                 `json:"seen_ms"`
	Work      string                `json:"work"`
	Verdict   string                `json:"verdict"`
	Reason    string                `json:"reason,omitempty"`
	Counted   int                   `json:"counted"`
	Kept      int                   `json:"kept,omitempty"`      // accepted in an attempt that came to nothing, for the next one
	Staleness uint64                `json:"staleness,omitempty"` // the most that an update which counts was behind
	Members   int                   `json:"members"`
	Counts    map[string]int        `json:"counts,omitempty"` // members by verdict
	Seconds   float64               `json:"seconds"`
	BytesUp   float64               `json:"bytes_up"`
	BytesDown float64               `json:"bytes_down"`
	Metrics   map[string]float64    `json:"metrics,omitempty"`
	Spread    map[string][5]float64 `json:"spread,omitempty"` // over sites: least, quarters, greatest
	Version   uint64                `json:"version"`
	ClosedMS  int64                 `json:"closed_ms"` // of the aggregator's clock
	Hash      string                `json:"hash,omitempty"`
	Prev      string                `json:"prev,omitempty"`
	Model     string                `json:"model,omitempty"`
	Chain     string                `json:"chain,omitempty"`
	Sig       string                `json:"sig,omitempty"`
}

// EventView is one fact.
type EventView struct {
	ID      uint64         `json:"id"` // grows
	TimeMS  int64          `json:"time_ms"`
	Kind    string         `json:"kind"`
	Round   uint64         `json:"round"`
	Attempt uint64         `json:"attempt"`
	Work    string         `json:"work,omitempty"`
	Member  string         `json:"member,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Detail  string         `json:"detail,omitempty"`
	Count   int            `json:"count,omitempty"`
	Counts  map[string]int `json:"counts,omitempty"`
}

// SiteView is one site in one task.
type SiteView struct {
	Task         string             `json:"task"`
	Path         string             `json:"path"`
	Phase        string             `json:"phase"`
	Round        uint64             `json:"round"`
	Attempt      uint64             `json:"attempt"`
	Progress     *float64           `json:"progress,omitempty"`
	Samples      int                `json:"samples"`
	Standing     Standing           `json:"standing"`
	Why          string             `json:"why"`
	SinceMS      int64              `json:"since_ms,omitempty"` // of the standing, where it is known
	HeardMS      int64              `json:"heard_ms"`
	Counted      uint64             `json:"counted"` // last round its update was taken in, as seen from here
	Online       bool               `json:"online"`
	Agent        string             `json:"agent,omitempty"`
	Security     string             `json:"security,omitempty"`
	Metrics      map[string]float64 `json:"metrics,omitempty"`
	MetricsRound uint64             `json:"metrics_round,omitempty"`
}

// SeriesView is one metric of one site.
type SeriesView struct {
	Rounds []uint64  `json:"rounds"`
	Values []float64 `json:"values"`
}

// Since returns what has changed after the view numbered seq, everything for
// 0. ok is false when nothing has.
func (f *Federation) Since(seq uint64) (v View, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	full := seq == 0 || seq < f.reset || seq > f.seq
	if full {
		seq = 0
	}
	v = View{Full: full, Seq: f.seq, NowMS: f.now, Link: f.link, Owner: f.owner, Ignored: f.ignored, Crowded: f.crowded}
	counts := map[*task]map[Standing]int{}
	for _, s := range f.list {
		c := counts[s.task]
		if c == nil {
			c = map[Standing]int{}
			counts[s.task] = c
		}
		c[s.view.Standing]++
		if s.seq > seq {
			v.Sites = append(v.Sites, s.view)
		}
	}
	v.Consumers = f.usesSince(seq)
	for _, t := range f.order {
		if t.seq > seq {
			v.Tasks = append(v.Tasks, t.since(f, seq, counts[t]))
		}
	}
	return v, full || f.seq > seq
}

func (t *task) since(f *Federation, seq uint64, counts map[Standing]int) TaskView {
	v := t.view
	v.Refusals, v.Standings = maps.Clone(v.Refusals), counts
	v.Waiting, v.Away = t.wait(f), t.gone(f)
	for _, r := range t.rounds {
		if r.seq > seq {
			v.Rounds = append(v.Rounds, r.RoundView)
		}
	}
	for _, e := range t.events {
		if e.ID > seq {
			v.Events = append(v.Events, e)
		}
	}
	return v
}
