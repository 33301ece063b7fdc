package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// places are where the task may have bulk: in the tree, and below the root that was
// given.
func (x *clearing) places() []topics.Owner {
	at, _ := x.owner.Places() // checked when it was given
	var list []topics.Owner
	for _, o := range at {
		list = append(list, o, o.Released(), o.Canary())
	}
	return list
}

// owned are the owner's topics that are known by name.
func (x *clearing) owned() []string {
	o := x.owner
	list := []string{o.Order(), o.Round(), o.ModelAt(), o.Record(), o.History(), o.Statistics()}
	for _, at := range x.places() {
		list = append(list, at.Model())
	}
	for _, name := range append([]string{"round", "sites", "round_seconds", "bytes_up", "bytes_down"}, x.names...) {
		list = append(list, o.KPI(name))
	}
	return list
}

// exact are all topics that are known by name, and the owner's presence.
func (x *clearing) exact() []string {
	list := append(x.owned(), x.owner.State())
	for _, p := range x.paths {
		if m, err := x.ns.Member(p, x.task); err == nil {
			list = append(list, m.Status())
		}
	}
	return list
}

// wide are filters for all that a task retains.
func (x *clearing) wide() []string {
	base := x.owner.Node() + "/" + topics.Marker + "/" + x.task + "/"
	list := []string{base + "kpi/+"}
	for _, at := range x.places() {
		list = append(list, at.Model()+"/+/+")
	}
	members := x.members
	if len(members) == 0 { // every depth
		for depth, s := 1, "+"; depth <= topics.MaxDepth; depth, s = depth+1, s+"/+" {
			f, _ := topics.ParseMemberFilter(s)
			members = append(members, f)
		}
	}
	for _, f := range members {
		list = append(list, x.ns.MemberFilterTopic(f, x.task, topics.Status))
	}
	return list
}

// find asks for what is known by name, and with wildcards. Where these bring nothing,
// as the broker may not give retained messages through them, parts are asked for by
// name.
func (x *clearing) find(ctx context.Context) (map[string][]byte, error) {
	exact := x.exact()
	found, err := x.look(ctx, append(x.wide(), exact...))
	if err != nil {
		return nil, err
	}
	for t := range found {
		if !slices.Contains(exact, t) {
			return found, nil
		}
	}
	for _, at := range x.places() {
		if err := x.byName(ctx, at, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// byName asks for the parts of models one by one: for the first of each slot, which
// says how many there are.
func (x *clearing) byName(ctx context.Context, at topics.Owner, found map[string][]byte) error {
	var first, rest []string
	for slot := range topics.MaxSlots {
		first = append(first, at.ModelPart(slot, 0))
	}
	parts, err := x.look(ctx, first)
	if err != nil {
		return err
	}
	maps.Copy(found, parts)
	for slot := range topics.MaxSlots {
		p, err := wire.DecodePart(parts[at.ModelPart(slot, 0)], wire.MaxPart)
		if err != nil {
			continue // nothing there
		}
		for i := 1; i < int(p.Count); i++ {
			rest = append(rest, at.ModelPart(slot, i))
		}
	}
	more, err := x.look(ctx, rest)
	maps.Copy(found, more)
	return err
}

// Times and sizes of a look at the broker.
const (
	quietTime     = time.Second // after the last message nothing more comes
	filtersAtOnce = 500         // on a connection
	filtersPerSub = 8           // in a SUBSCRIBE: what every broker takes
)

// look returns what is retained under filters. Those that are denied are noted.
func (x *clearing) look(ctx context.Context, filters []string) (map[string][]byte, error) {
	found := map[string][]byte{}
	filters = slices.DeleteFunc(slices.Clone(filters), func(f string) bool { return x.denied[f] })
	for chunk := range slices.Chunk(filters, filtersAtOnce) {
		if err := x.halves(ctx, chunk, found); err != nil {
			return nil, fmt.Errorf("%s: %w", link.Shown(x.flags.url()), err)
		}
	}
	return found, nil
}

// halves looks at filters, and at half of them where a broker cuts the connection:
// some do when one is denied. Once more may have been bad luck.
func (x *clearing) halves(ctx context.Context, filters []string, found map[string][]byte) error {
	err := x.lookAt(ctx, filters, found)
	if !errors.Is(err, link.ErrCut) {
		return err
	}
	if n := len(filters) / 2; n > 0 {
		if err := x.halves(ctx, filters[:n], found); err != nil {
			return err
		}
		return x.halves(ctx, filters[n:], found)
	}
	if err = x.lookAt(ctx, filters, found); errors.Is(err, link.ErrCut) {
		x.denied[filters[0]] = true
		return nil
	}
	return err
}

func (x *clearing) lookAt(ctx context.Context, filters []string, found map[string][]byte) error {
	p, err := x.probe(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	for chunk := range slices.Chunk(filters, filtersPerSub) {
		var fs []link.Filter
		for _, f := range chunk {
			fs = append(fs, link.Filter{Topic: f, QoS: 1})
		}
		short, cancel := context.WithTimeout(ctx, connectWait)
		codes, err := p.Subscribe(short, fs...)
		cancel()
		if err != nil {
			return err
		}
		for i, f := range chunk {
			if i < len(codes) && codes[i] > 2 {
				x.denied[f] = true
			}
		}
	}
	for {
		m, err := p.ReceiveWithin(ctx, quietTime)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			return err
		case m.Retained && len(m.Payload) > 0:
			found[m.Topic] = m.Payload
		}
	}
}

// probe is one more connection.
func (x *clearing) probe(ctx context.Context) (*link.Probe, error) {
	cfg, err := x.flags.config(x.log, "clear", link.Config{MaxPacket: wire.MaxPart + 64<<10})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	return link.OpenProbe(ctx, cfg, false)
}

// recordedNames are the members and the numbers in the records of a task that are
// in the aggregator's directory; without any, none.
func recordedNames(dir, task string) (members, numbers []string) {
	files, _ := filepath.Glob(filepath.Join(dir, "records", task, "*.json"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		r, err := record.Decode(b)
		if err != nil {
			continue
		}
		for _, e := range r.Entries {
			members = append(members, e.Member)
		}
		numbers = slices.AppendSeq(numbers, maps.Keys(r.Metrics))
	}
	slices.Sort(members)
	slices.Sort(numbers)
	return slices.Compact(members), slices.Compact(numbers)
}
