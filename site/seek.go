package site

import (
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/topics"
)

// When a site that hears nothing of a task says so (S-42).
const (
	seekFirst ms = 10_000
	seekEvery ms = 60_000
	lookEvery ms = 3_600_000
)

// lost reports whether the task has no aggregator, as far as can be heard: no
// order and no answer came in this life, and the owner's presence does not name it.
func (s *site) lost(t *task) bool {
	if t.m.Ordered() || t.answered {
		return false
	}
	o := s.owners[t.owner.State()]
	return !o.Online || len(o.Tasks) < mostTasks && !slices.Contains(o.Tasks, t.Name)
}

// seek says for which tasks nobody is there, and has the broker asked who is.
func (s *site) seek() {
	now := s.now()
	if s.seeker.at == 0 || now < s.seeker.at || !s.online {
		return
	}
	s.seeker.at = 0
	if !s.sayLost() {
		return
	}
	s.seeker.at = now + seekEvery
	if s.seeker.busy || now < s.seeker.lookAt {
		return
	}
	s.seeker.busy, s.seeker.lookAt = true, now+lookEvery
	s.goes.Go(func() {
		list, err := s.cfg.lookup(s.life)
		select {
		case s.seeker.found <- looked{list, err}:
		case <-s.life.Done():
		}
	})
}

// onLooked takes in who is at the broker, and says it.
func (s *site) onLooked(l looked) {
	s.seeker.busy = false
	s.seeker.others = l.list
	if l.err != nil {
		s.cfg.Log.Debug().Err(l.err).Msg("who else is at the broker is not known")
		return
	}
	if len(l.list) > 0 {
		s.sayLost()
	}
}

// sayLost says for each task that has no aggregator what is looked for, and what
// is there instead. It reports whether there is any.
func (s *site) sayLost() (lost bool) {
	for _, t := range s.tasks {
		if !s.lost(t) {
			continue
		}
		lost = true
		others := s.others(t)
		s.cfg.Log.Info().Str("namespace", s.ns.String()).Str("task", t.Name).Str("topic", t.owner.Order()).
			Func(func(e *zerolog.Event) {
				if others != "" {
					e.Str("instead", others)
				}
			}).Msg("no aggregator is heard for this task")
		text := s.lostText(t)
		if others != "" {
			text += ". There is: " + others
		}
		if text != t.lost {
			t.lost = text
			s.publishStatus(t, 1)
		}
	}
	return lost
}

// lostText is what is known of the place where the task should be.
func (s *site) lostText(t *task) string {
	o := s.owners[t.owner.State()]
	switch {
	case o.Online:
		return fmt.Sprintf("the aggregator at %s has no task %s", t.owner.Node(), t.Name)
	case o.known:
		return fmt.Sprintf("the aggregator at %s is off line, and left no order for task %s", t.owner.Node(), t.Name)
	}
	return fmt.Sprintf("no aggregator at %s: nothing on %s and %s", t.owner.Node(), t.owner.State(), t.owner.Order())
}

// others names the aggregators that are at the broker: that of the node itself as
// it says now, the others as they were seen.
func (s *site) others(t *task) string {
	node := t.owner.Node()
	list := slices.DeleteFunc(slices.Clone(s.seeker.others), func(n neighbour) bool { return n.node == node })
	if o := s.owners[t.owner.State()]; o.Online {
		n := neighbour{node: node}
		for _, name := range o.Tasks {
			if topics.CheckTask(name) == nil {
				n.tasks = append(n.tasks, name)
			}
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		return ""
	}
	return instead(list, node, t.Name)
}

// foundAgain takes the words back of the tasks that are heard.
func (s *site) foundAgain() {
	for _, t := range s.tasks {
		if t.lost != "" && !s.lost(t) {
			t.lost, t.changed = "", true
			s.cfg.Log.Info().Str("task", t.Name).Msg("the task's aggregator is heard")
		}
	}
}
