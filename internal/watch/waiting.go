package watch

import (
	"slices"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

// waits takes in what the aggregator says of who is missing.
func (t *task) waits(r view.Round) {
	t.said = view.Round{Origin: r.Origin}
	if w := r.Waiting; w != nil {
		w.Why, w.Do = clip(w.Why, maxWord), clip(w.Do, maxWord)
		w.Members = slices.DeleteFunc(slices.Clone(w.Members[:min(len(w.Members), maxWaiting)]), func(p string) bool { return topics.CheckPath(p) != nil })
		t.said.Waiting = w
	}
	for _, a := range r.Away[:min(len(r.Away), maxWaiting)] {
		if topics.CheckPath(a.Member) == nil {
			t.said.Away = append(t.said.Away, a)
		}
	}
}

// here turns a time of the aggregator's clock into one of this machine's, where
// they differ by more than a message may take.
func (t *task) here(ms int64) int64 {
	if ms > 0 && (t.skew < -2000 || t.skewKnown && t.skew > 2000) {
		return ms + t.skew
	}
	return ms
}

// wait says what the task waits for, with what is known of each member.
func (t *task) wait(f *Federation) *WaitView {
	w := t.said.Waiting
	if w == nil {
		return nil
	}
	v := &WaitView{Why: string(w.Why), Here: w.Here, Want: w.Want, SinceMS: t.here(w.SinceMS), UntilMS: t.here(w.UntilMS), Do: string(w.Do)}
	names := w.Members
	if w.Why == "sites" {
		names = t.offline(f, names)
	}
	for _, p := range names {
		v.Members = append(v.Members, t.who(f, p))
	}
	if len(w.Members) == maxWaiting && v.Updates() {
		v.More = max(t.view.Cohort-t.view.Accepted-maxWaiting, 0)
	}
	return v
}

// offline adds sites of the task that are offline and that the aggregator does
// not know: it has never heard them in this life.
func (t *task) offline(f *Federation, names []string) []string {
	names = slices.Clone(names)
	for _, s := range f.list {
		if s.task == t && s.node.known && !s.node.online && len(names) < maxWaiting && !slices.Contains(names, s.view.Path) {
			names = append(names, s.view.Path)
		}
	}
	slices.Sort(names)
	return names
}

// gone lists who is not asked.
func (t *task) gone(f *Federation) (out []WhoView) {
	for _, a := range t.said.Away {
		w := t.who(f, a.Member)
		if a.Excluded {
			w.Why, w.SinceMS = "excluded by an operator", 0
		} else if a.Left && w.Why != "offline" {
			w.Why, w.SinceMS = "it left", 0
		}
		out = append(out, w)
	}
	return out
}

// who says what a member does instead of what it is waited for.
func (t *task) who(f *Federation, path string) WhoView {
	w := WhoView{Path: path}
	if s := f.sites[siteKey{t.name, path}]; s != nil && s.view.Standing != Done && s.view.Standing != Idle {
		w.Why, w.SinceMS = s.view.Why, s.view.SinceMS
	}
	return w
}
