package watch

import (
	"slices"

	"github.com/fedmq/fedmq/topics"
)

// waits takes in what the aggregator says of who is missing.
func (t *task) waits(r roundJSON) {
	t.waiting, t.away = nil, nil
	if w := r.Waiting; w != nil {
		c := *w
		c.Why, c.Do = clip(w.Why, maxWord), clip(w.Do, maxWord)
		c.Members = slices.DeleteFunc(slices.Clone(w.Members[:min(len(w.Members), maxWaiting)]), func(p string) bool { return topics.CheckPath(p) != nil })
		t.waiting = &c
	}
	for _, a := range r.Away[:min(len(r.Away), maxWaiting)] {
		if topics.CheckPath(a.Member) == nil {
			t.away = append(t.away, a)
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
	w := t.waiting
	if w == nil {
		return nil
	}
	v := &WaitView{Why: w.Why, Here: w.Here, Want: w.Want, SinceMS: t.here(w.SinceMS), UntilMS: t.here(w.UntilMS), Do: w.Do}
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
	for _, a := range t.away {
		w := t.who(f, a.Member)
		if a.Left && w.Why != "offline" {
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
