package watch

import (
	"slices"

	"github.com/fedmq/fedmq/topics"
)

// Filters are what a watcher may read: every JSON topic of the owner and of
// its members and consumers (T-15), those at every depth without member filters. A path
// that is no node gives none.
func Filters(ns topics.Namespace, owner string, members, consumers []topics.MemberFilter) []string {
	var out []string
	for _, r := range ns.Rules(topics.Party{Role: topics.RoleWatcher, Owner: owner, Members: members, Consumers: consumers}) {
		if !r.Write && !slices.Contains(out, r.Filter) {
			out = append(out, r.Filter)
		}
	}
	return out
}

// exact are the topics whose retained message a wildcard may not deliver
// (RabbitMQ sends none, others the first thousand), and where nobody may wait
// for the next heartbeat: the owner's presence, which lists the tasks, and
// round and record of each task.
func (f *Federation) exact() []string {
	out := []string{f.cfg.Namespace.Node(f.cfg.Owner) + "/" + topics.Marker + "/state"}
	for _, t := range f.order {
		out = append(out, t.topics.Round(), t.topics.Record())
	}
	return out
}

// missing are the histories of tasks, and the exact topics of members that a round waits for, or that are
// there, and of which no status has been heard: at most maxAsk at a time.
func (f *Federation) missing() (out []string) {
	ask := func(path, task string) {
		if m, err := f.cfg.Namespace.Member(path, task); err == nil && len(out) < maxAsk {
			out = append(out, m.State(), m.Status())
		}
	}
	for _, t := range f.order {
		if !t.past && len(out) < maxAsk {
			out = append(out, t.topics.History())
		}
		for _, p := range t.waitingFor {
			if f.sites[siteKey{t.name, p}] == nil {
				ask(p, t.name)
			}
		}
	}
	for _, s := range f.list {
		if s.heard == 0 {
			ask(s.view.Path, s.view.Task)
		}
	}
	return out
}

// Exact returns the standing exact subscriptions, and those to make until a
// member has been heard.
func (f *Federation) Exact() (standing, once []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.exact(), f.missing()
}
