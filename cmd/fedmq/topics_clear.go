package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/topics"
)

// clearing takes what a task retained off the broker.
type clearing struct {
	flags   clientFlags
	log     zerolog.Logger
	ns      topics.Namespace
	task    string
	owner   topics.Owner
	members []topics.MemberFilter // of whom a broker is asked with wildcards
	names   []string              // numbers of the task that are known beside the usual
	paths   []string              // members that are known by name

	denied map[string]bool // filters that this user may not read
	order  []string        // topics that were cleared
	unseen []string        // the owner's that were cleared on the mere chance
	done   map[string]bool
}

// clear is topics --clear.
func (c *topicsCmd) clear(ctx context.Context, log zerolog.Logger, ns topics.Namespace) error {
	o, err := ns.Owner(c.Owner, c.Clear)
	if err == nil {
		_, err = o.Places()
	}
	if err != nil {
		return usageError{err}
	}
	x := &clearing{
		flags: clientFlags{c.Broker, c.accessFlags}, log: log, ns: ns, task: c.Clear, owner: o, denied: map[string]bool{}, done: map[string]bool{},
	}
	if x.members, err = memberFilters(slices.Concat(c.Member, c.Consumer)); err != nil {
		return usageError{err}
	}
	x.paths, x.names = recordedNames(c.dataDir, c.Clear)
	for _, m := range slices.Concat(c.Member, c.Consumer) {
		if !strings.Contains(m, "+") {
			x.paths = append(x.paths, m)
		}
	}
	slices.Sort(x.paths)
	x.paths = slices.Compact(x.paths)
	found, err := x.find(ctx)
	if err != nil {
		return err
	}
	if why := x.runs(found); why != "" && !c.Force {
		return fmt.Errorf("task %s: %s; --force clears it all the same", c.Clear, why)
	}
	return x.all(ctx, found)
}

// runs says why the task may not be cleared yet, "" if it may.
func (x *clearing) runs(found map[string][]byte) string {
	if s, ok := stateOf(found[x.owner.State()]); ok && aggregates(s) && slices.Contains(s.Tasks, x.task) {
		return fmt.Sprintf("%s says that its aggregator is online and serves it, which publishes again what is cleared: "+
			"take the task out of its configuration, or stop it", x.owner.State())
	}
	var view struct {
		Round  uint64      `json:"round"`
		Phase  round.Phase `json:"phase"`
		Reason string      `json:"reason"`
	}
	if json.Unmarshal(found[x.owner.Round()], &view) != nil || view.Phase == round.Halted && view.Reason != "paused" {
		return ""
	}
	return fmt.Sprintf("%s says that it has not ended, but is at round %d, %s: its aggregator, which is offline, goes on where it was",
		x.owner.Round(), view.Round, cmp.Or(view.Reason, string(view.Phase)))
}

// all clears what is found until nothing is, or only what was cleared before: a
// broker may show a thousand topics at a time.
func (x *clearing) all(ctx context.Context, found map[string][]byte) error {
	var problems []error
	for first := true; ; first = false {
		delete(found, x.owner.State())
		fresh := slices.DeleteFunc(slices.Sorted(maps.Keys(found)), func(t string) bool { return x.done[t] })
		if len(fresh) > 0 || first {
			problems = append(problems, x.remove(ctx, fresh, first))
		}
		if len(fresh) == 0 {
			break
		}
		var err error
		if found, err = x.find(ctx); err != nil {
			return err
		}
	}
	left := slices.Sorted(maps.Keys(found))
	x.tell(left)
	if len(left) > 0 {
		problems = append(problems, fmt.Errorf("still retained, or there again: %s: may this user write there? "+
			"A site that is online publishes its status again while its configuration has the task", strings.Join(left, ", ")))
	}
	return errors.Join(problems...)
}

// tell prints what is gone, the parts of a model in one line.
func (x *clearing) tell(left []string) {
	parts := map[string]int{}
	for _, t := range slices.DeleteFunc(x.order, func(t string) bool { return slices.Contains(left, t) }) {
		if slot, ok := x.slot(t); ok {
			parts[slot]++
			continue
		}
		fmt.Fprintln(stdout, "cleared "+t)
	}
	for _, slot := range slices.Sorted(maps.Keys(parts)) {
		fmt.Fprintf(stdout, "cleared %s: %d parts\n", slot, parts[slot])
	}
	if len(x.unseen) > 0 && len(x.order)+len(x.denied) > 0 {
		fmt.Fprintf(stdout, "cleared too, if there, as this user was not shown them: %s\n", strings.Join(x.unseen, ", "))
	}
	denied := slices.DeleteFunc(slices.Sorted(maps.Keys(x.denied)), func(f string) bool { return slices.Contains(x.unseen, f) })
	if len(denied) > 0 {
		fmt.Fprintf(stdout, "this user may not read %s: what else is there was not cleared\n", strings.Join(denied, ", "))
	}
	if len(x.order) == 0 && len(left) == 0 && len(x.denied) == 0 {
		fmt.Fprintf(stdout, "nothing of task %s is retained at %s\n", x.task, x.owner.Node())
	}
}

// slot is the topic of a part without the part's number.
func (x *clearing) slot(topic string) (string, bool) {
	at, err := x.ns.Parse(topic)
	if err != nil || at.Kind != topics.ModelPart && at.Kind != topics.ReleasedPart && at.Kind != topics.CanaryPart {
		return "", false
	}
	return topic[:strings.LastIndex(topic, "/")+1] + "...", true
}

// remove clears topics, node by node, each on a connection of its own: some brokers
// cut that of a user who may not write. Blind also clears the owner's topics that are
// known by name, as a user may be allowed to write what it may not read.
func (x *clearing) remove(ctx context.Context, list []string, blind bool) error {
	nodes := map[string][]string{}
	for _, t := range list {
		node, _, _ := strings.Cut(t, "/"+topics.Marker+"/")
		nodes[node] = append(nodes[node], t)
		x.done[t] = true
		x.order = append(x.order, t)
	}
	if blind {
		for _, t := range x.owned() {
			node, _, _ := strings.Cut(t, "/"+topics.Marker+"/")
			if !slices.Contains(nodes[node], t) {
				nodes[node], x.unseen = append(nodes[node], t), append(x.unseen, t)
			}
		}
	}
	var problems []error
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		if err := x.publish(ctx, nodes[node]); err != nil {
			problems = append(problems, fmt.Errorf("below %s: %w; some brokers cut the connection of a user who may not write there", node, err))
		}
	}
	return errors.Join(problems...)
}

// clearAtOnce is how many topics are cleared within pubackTime.
const (
	clearAtOnce = 200
	pubackTime  = 30 * time.Second
)

func (x *clearing) publish(ctx context.Context, list []string) error {
	p, err := x.probe(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	for chunk := range slices.Chunk(list, clearAtOnce) {
		var empty []link.Message
		for _, t := range chunk {
			empty = append(empty, link.Message{Topic: t, QoS: 1, Retained: true})
		}
		short, cancel := context.WithTimeout(ctx, pubackTime)
		_, err := p.Publish(short, 8, empty...)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
