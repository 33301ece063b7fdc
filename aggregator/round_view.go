package aggregator

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// named is how many members a view names.
const named = 20

// roundView is the current round for people.
type roundView struct {
	Schema      string         `json:"schema"`
	TimestampMS int64          `json:"timestamp_ms"`
	Task        string         `json:"task"`
	Epoch       uint64         `json:"epoch"`
	Round       uint64         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Phase       round.Phase    `json:"phase"`
	Work        string         `json:"work"`
	TrainRounds uint64         `json:"train_rounds"`
	Reason      string         `json:"reason,omitempty"`
	Pause       string         `json:"pause,omitempty"` // id of the pause that is asked for or in force: what a resume names
	Version     uint64         `json:"version"`         // of the base model
	Model       string         `json:"model"`           // its content id
	Members     int            `json:"members"`         // welcomed
	Cohort      int            `json:"cohort"`
	Accepted    int            `json:"accepted"`
	WaitingFor  []string       `json:"waiting_for"`         // the first of them
	Waiting     *round.Wait    `json:"waiting,omitempty"`   // what for, who, since when, and what helps
	Away        []round.Away   `json:"away,omitempty"`      // who is not asked, since it left or was silent; the first of them
	Contested   []contestView  `json:"contested,omitempty"` // the first of them
	Uploads     *uploadsView   `json:"uploads,omitempty"`
	Quorum      int            `json:"quorum"`
	OpenedMS    int64          `json:"opened_ms"`
	DeadlineMS  uint64         `json:"deadline_ms"` // duration
	Last        summary        `json:"last"`
	Refusals    map[string]int `json:"refusals,omitempty"` // unauthenticated, since the start
	Asked       int            `json:"asked,omitempty"`    // questions of fedmq doctor that were answered, since the start
	Security    string         `json:"security"`
}

// uploadsView is the updates that come in parts just now.
type uploadsView struct {
	Running  int          `json:"running"`
	Waiting  int          `json:"waiting"`
	Received int64        `json:"received_bytes"`
	Total    int64        `json:"total_bytes"`
	Members  []uploadView `json:"members"` // the first of them
}

type uploadView struct {
	Member   string `json:"member"`
	Received int64  `json:"received_bytes"`
	Total    int64  `json:"total_bytes"`
}

// uploadsView is nil when there are none.
func (t *task) uploadsView() *uploadsView {
	v := &uploadsView{Members: []uploadView{}}
	for _, up := range t.m.Uploads() {
		if !up.Running {
			v.Waiting++
			continue
		}
		v.Running++
		v.Received, v.Total = v.Received+up.Got, v.Total+up.Of
		if len(v.Members) < named {
			v.Members = append(v.Members, uploadView{up.Member, up.Got, up.Of})
		}
	}
	if v.Running+v.Waiting == 0 {
		return nil
	}
	return v
}

// roundView is what there is to see now.
func (t *task) roundView(now int64) roundView {
	s := t.state
	v := roundView{
		Schema: "fedmq.round.v1", TimestampMS: now, Task: t.cfg.Name, Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt,
		Phase: s.Phase, Work: wire.WorkNone, TrainRounds: t.cfg.Rounds, Reason: haltReason(s), Pause: s.Pause, Version: s.Version,
		Model: s.Base.String(), Members: t.m.Round().Welcomed(), Quorum: t.cfg.Quorum, Last: t.last,
		Waiting: t.waiting(now), Away: t.m.Round().Away(named),
		WaitingFor: []string{}, Contested: t.contests(), Uploads: t.uploadsView(), Refusals: t.counts.refused, Asked: t.counts.asked, Security: t.a.security(),
	}
	if s.Order != nil && s.Phase == round.Open {
		v.Work, v.DeadlineMS, v.OpenedMS = s.Order.Work, s.Order.DeadlineMS, t.openedMS()
		v.Cohort, v.Accepted = len(s.Cohort), len(t.sum.in)
		for _, i := range s.Cohort {
			if p := t.m.Round().Path(i); t.sum.in[p] == nil && len(v.WaitingFor) < named {
				v.WaitingFor = append(v.WaitingFor, p)
			}
		}
	}
	return v
}

func haltReason(s *round.State) string {
	switch {
	case s.Reason != "":
		return s.Reason
	case s.Finished:
		return "finished"
	case s.Paused:
		return "paused"
	case s.Stopped:
		return "stopped"
	}
	return ""
}
