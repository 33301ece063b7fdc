package aggregator

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/wire"
)

// uploadsView is nil when there are none.
func (t *task) uploadsView() *view.Uploads {
	v := &view.Uploads{Members: []view.Upload{}}
	for _, up := range t.m.Uploads() {
		if !up.Running {
			v.Waiting++
			continue
		}
		v.Running++
		v.Received, v.Total = v.Received+up.Got, v.Total+up.Of
		if len(v.Members) < named {
			v.Members = append(v.Members, view.Upload{Member: up.Member, Received: up.Got, Total: up.Of})
		}
	}
	if v.Running+v.Waiting == 0 {
		return nil
	}
	return v
}

// roundView is what there is to see now.
func (t *task) roundView(now int64) view.Round {
	s := t.state
	v := view.Round{
		Schema: view.RoundSchema, TimestampMS: now, Task: t.cfg.Name, Origin: t.origin, Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt,
		Phase: s.Phase, Work: wire.WorkNone, TrainRounds: t.cfg.total(), Reason: haltReason(s), Pause: s.Pause, Version: s.Version,
		Model: s.Base.String(), Best: s.Best, Released: s.Released, Candidate: s.Ready, Canary: s.Canary, Canaries: s.Canaries, Members: t.m.Round().Welcomed(), Quorum: t.cfg.Quorum, Last: t.last.Summary,
		Waiting: t.waiting(now), Away: t.m.Round().Away(named),
		WaitingFor: []string{}, Contested: t.contests(), Uploads: t.uploadsView(), Contract: contractView(s.Contract), Refusals: t.counts.refused, Asked: t.counts.asked, Security: t.a.security(),
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
