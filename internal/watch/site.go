package watch

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

// site is a member in one task.
type site struct {
	task  *task
	node  *node
	view  SiteView
	seq   uint64
	heard int64 // the last status, as seen from here; 0: none yet
	said  struct {
		phase, message, error string
		personal              string // what it has made of the released version for itself
	}
	verdict struct { // what the aggregator said of it
		kind, why      string
		round, attempt uint64
	}
	history []point
}

// site returns a member's row, new if there is room.
func (f *Federation) site(path, name string) (*site, error) {
	if s := f.sites[siteKey{name, path}]; s != nil {
		return s, nil
	}
	if len(f.sites) >= MaxMembers {
		f.crowded++
		return nil, errCrowded
	}
	t, err := f.task(name)
	if err != nil {
		return nil, err
	}
	n, err := f.node(path)
	if err != nil {
		return nil, err
	}
	s := &site{task: t, node: n, view: SiteView{Task: name, Path: path}}
	f.sites[siteKey{name, path}] = s
	f.list = append(f.list, s)
	n.sites = append(n.sites, s)
	return s, nil
}

func (f *Federation) node(path string) (*node, error) {
	if n := f.nodes[path]; n != nil {
		return n, nil
	}
	if len(f.nodes) >= MaxMembers {
		f.crowded++
		return nil, errCrowded
	}
	n := &node{}
	f.nodes[path] = n
	return n, nil
}

// status takes a site's status in; an empty one means that it has gone.
func (f *Federation) status(path, name string, m Message) error {
	if len(m.Payload) == 0 {
		f.forget(siteKey{name, path})
		f.forgetUse(siteKey{name, path})
		return nil
	}
	var form struct {
		Schema string `json:"schema"`
	}
	if json.Unmarshal(m.Payload, &form) == nil && form.Schema == view.ConsumerSchema {
		return f.uses(path, name, m)
	}
	var j statusJSON
	if err := read(m.Payload, &j, &j.Schema, "fedmq.status.v1"); err != nil {
		return err
	}
	s, err := f.site(path, name)
	if err != nil {
		return err
	}
	v := &s.view
	at := f.now
	if !m.Live { // kept by the broker since then
		at = min(at, j.TimestampMS)
	}
	s.heard = max(s.heard, at, 1)
	v.HeardMS, v.Round, v.Attempt, v.Samples = s.heard, j.Round, j.Attempt, j.Samples
	v.Phase, v.Progress = clip(j.Phase, maxWord), nil
	if j.Progress != nil {
		p := min(max(*j.Progress, 0), 1)
		v.Progress = &p
	}
	s.said.phase, s.said.message, s.said.error = v.Phase, clip(j.Message, maxText), clip(j.Error, maxText)
	s.said.personal = j.Personal.text()
	if metrics := clipNames(j.Metrics); metrics != nil && !sameNumbers(metrics, v.Metrics) {
		v.Metrics, v.MetricsRound = metrics, j.Round
		f.measured(s)
	}
	s.seq = f.touch()
	f.judge(s)
	return nil
}

// text says it in words, "" for nothing.
func (p *personalJSON) text() string {
	switch {
	case p == nil:
		return ""
	case !p.Done && p.Note == "":
		return fmt.Sprintf("version %d is to be trained for itself", p.Version)
	case p.Own == nil || p.Global == nil:
		return clip(fmt.Sprintf("no model of its own from version %d: %s", p.Version, p.Note), maxText)
	}
	numbers := fmt.Sprintf("version %d: %s %.4g, its own %.4g", p.Version, clip(p.Metric, maxWord), *p.Global, *p.Own)
	if p.Used {
		return numbers + ", which it uses"
	}
	return numbers + ", not better"
}

func sameNumbers(a, b map[string]float64) bool {
	return maps.EqualFunc(a, b, func(v, w float64) bool { return math.Float64bits(v) == math.Float64bits(w) })
}

// forget takes a row out.
func (f *Federation) forget(k siteKey) {
	s := f.sites[k]
	if s == nil {
		return
	}
	delete(f.sites, k)
	isIt := func(x *site) bool { return x == s }
	f.list = slices.DeleteFunc(f.list, isIt)
	f.points -= len(s.history)
	s.node.sites = slices.DeleteFunc(s.node.sites, isIt)
	if len(s.node.sites)+len(s.node.uses) == 0 {
		delete(f.nodes, k.path)
	}
	f.reset = f.touch()
}

// nodeState takes a member's presence in.
func (f *Federation) nodeState(path string, m Message) error {
	if len(m.Payload) == 0 {
		if n := f.nodes[path]; n != nil {
			n.known = false
		}
		return nil
	}
	var j view.State
	if err := read(m.Payload, &j, &j.Schema, view.StateSchema); err != nil {
		return err
	}
	trains := len(j.Roles) != 1 || j.Roles[0] != topics.RoleConsumer.String()
	for _, name := range j.Tasks[:min(len(j.Tasks), MaxTasks)] {
		if trains && topics.CheckTask(name) == nil && f.tasks[name] != nil {
			if _, err := f.site(path, name); err != nil {
				return err
			}
		}
	}
	n, err := f.node(path)
	if err != nil {
		return err
	}
	if !n.known || n.online != j.Online {
		n.since = f.now
	}
	n.known, n.online, n.agent, n.security = true, j.Online, clip(j.Agent, maxWord), clip(j.Security, maxWord)
	for _, s := range n.sites {
		f.judge(s)
	}
	for _, c := range n.uses {
		c.seen(f)
	}
	return nil
}

// told takes in what the aggregator says of a member.
func (f *Federation) told(t *task, e EventView) {
	switch e.Kind {
	case "accepted", "refused", "declined", "joined", "left", "offered":
	default:
		return
	}
	s, err := f.site(e.Member, t.name)
	if err != nil {
		return
	}
	switch e.Kind {
	case "accepted", "refused", "declined":
		s.verdict.kind, s.verdict.round, s.verdict.attempt = e.Kind, e.Round, e.Attempt
		s.verdict.why = e.Kind
		if e.Reason != "" {
			s.verdict.why += ": " + e.Reason
		}
		if e.Detail != "" {
			s.verdict.why += ": " + e.Detail
		}
	}
	f.judge(s)
}
