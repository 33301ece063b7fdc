package watch

import (
	"slices"

	"github.com/fedmq/fedmq/internal/view"
)

// consumer is a node that uses what a task releases.
type consumer struct {
	node *node
	view ConsumerView
	seq  uint64
}

// ConsumerView is a node that uses what a task releases, and which version it runs.
type ConsumerView struct {
	Task    string      `json:"task"`
	Path    string      `json:"path"`
	Version *uint64     `json:"version,omitempty"` // nil: none yet
	From    string      `json:"from,omitempty"`    // the topic that it came from
	SinceMS int64       `json:"since_ms,omitempty"`
	Tries   *TriesView  `json:"tries,omitempty"`  // a version whose command runs
	Failed  *FailedView `json:"failed,omitempty"` // a version that it could not take
	Online  bool        `json:"online"`
	HeardMS int64       `json:"heard_ms"`
	Agent   string      `json:"agent,omitempty"`
}

// TriesView is a version that a consumer is about to take.
type TriesView struct {
	Version uint64 `json:"version"`
	SinceMS int64  `json:"since_ms"` // when its command began, by this clock
}

// FailedView is a version that a consumer could not take.
type FailedView struct {
	Version uint64 `json:"version"`
	Why     string `json:"why"`
	Times   int    `json:"times"` // that it was tried
}

// uses takes a consumer's status in.
func (f *Federation) uses(path, name string, m Message) error {
	var j view.Consumer
	if err := read(m.Payload, &j, &j.Schema, view.ConsumerSchema); err != nil {
		return err
	}
	k := siteKey{name, path}
	c := f.consumers[k]
	if c == nil {
		if len(f.sites)+len(f.consumers) >= MaxMembers {
			f.crowded++
			return errCrowded
		}
		if _, err := f.task(name); err != nil {
			return err
		}
		n, err := f.node(path)
		if err != nil {
			return err
		}
		c = &consumer{node: n, view: ConsumerView{Task: name, Path: path}}
		f.consumers[k], n.uses = c, append(n.uses, c)
	}
	v := &c.view
	at := f.now
	if !m.Live {
		at = min(at, j.TimestampMS)
	}
	v.HeardMS, v.Version, v.From, v.SinceMS, v.Failed = max(v.HeardMS, at, 1), j.Version, clip(j.From, maxWord), j.SinceMS, nil
	v.Tries = nil
	if j.Tries != nil {
		v.Tries = &TriesView{Version: j.Tries.Version, SinceMS: at - max(0, j.TimestampMS-j.Tries.SinceMS)}
	}
	if j.Failed != nil {
		v.Failed = &FailedView{Version: j.Failed.Version, Why: clip(j.Failed.Why, maxText), Times: j.Failed.Times}
	}
	c.seen(f)
	return nil
}

// seen takes over what its node says.
func (c *consumer) seen(f *Federation) {
	c.view.Online, c.view.Agent = c.node.online, c.node.agent
	c.seq = f.touch()
}

// forgetUse takes a row out.
func (f *Federation) forgetUse(k siteKey) {
	c := f.consumers[k]
	if c == nil {
		return
	}
	delete(f.consumers, k)
	c.node.uses = slices.DeleteFunc(c.node.uses, func(x *consumer) bool { return x == c })
	if len(c.node.sites)+len(c.node.uses) == 0 {
		delete(f.nodes, k.path)
	}
	f.reset = f.touch()
}

// usesSince are those that have changed after a view, by path.
func (f *Federation) usesSince(seq uint64) (list []ConsumerView) {
	for _, c := range f.consumers {
		if c.seq > seq {
			list = append(list, c.view)
		}
	}
	slices.SortFunc(list, func(a, b ConsumerView) int { return compareKeys(siteKey{a.Task, a.Path}, siteKey{b.Task, b.Path}) })
	return list
}

func compareKeys(a, b siteKey) int {
	return slices.Compare([]string{a.task, a.path}, []string{b.task, b.path})
}

// canaryOf is what the aggregator says of one, cut.
func canaryOf(r view.Round) *CanaryView {
	c := r.Canary
	if c == nil {
		return nil
	}
	v := CanaryView{Version: c.Version, Held: c.Held}
	for _, f := range c.To[:min(len(c.To), mostFilters)] {
		v.To = append(v.To, clip(f, maxName))
	}
	return &v
}

const mostFilters = 16
