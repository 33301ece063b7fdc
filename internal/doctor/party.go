package doctor

import (
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// Party is an aggregator or a site: its way to the broker, and what it writes and
// reads there.
type Party struct {
	link   link.Config
	ns     topics.Namespace
	rules  []topics.Rule // of the whole access list
	state  string        // where its Last Will goes
	writes []string      // topics
	reads  []string      // filters, most of them topics
	asks   []ask         // of a site
}

// ask is how a site asks whether a task's owner hears it (W-42).
type ask struct {
	join, reply, round string
	retained           []string          // what an owner that runs has said
	order              string            // says where it has said its model
	models             map[string]string // by root of bulk
}

// TaskAt is a task and the path of the node that owns it.
type TaskAt struct{ Owner, Name string }

// Site is the site at a path. Of cfg what reaches the broker counts.
func Site(cfg link.Config, ns topics.Namespace, path string, tasks []TaskAt) (Party, error) {
	p := Party{link: cfg, ns: ns}
	for _, t := range tasks {
		owner, err := ns.Owner(t.Owner, t.Name)
		if err != nil {
			return p, err
		}
		own, err := ns.Member(path, t.Name)
		if err != nil {
			return p, err
		}
		p.state = own.State()
		p.rules = append(p.rules, ns.Rules(topics.Party{Role: topics.RoleSite, Path: path, Owner: t.Owner})...)
		p.writes = append(p.writes, own.State(), own.Status(), own.Join(), own.Need())
		p.reads = append(p.reads, owner.State(), owner.Order(), owner.Round(), owner.Record(), owner.Reply(path))
		members, err := own.Places()
		if err != nil {
			return p, err
		}
		owners, err := owner.Places()
		if err != nil {
			return p, err
		}
		models := map[string]string{}
		for i, root := range ns.Roots() { // of which members and owners are the places
			p.writes = append(p.writes, members[i].Update(), members[i].Part())
			p.reads = append(p.reads, modelTopics(owners[i])...)
			models[root] = owners[i].Model()
		}
		p.asks = append(p.asks, ask{
			join: own.Join(), reply: owner.Reply(path), round: owner.Round(), order: owner.Order(), models: models,
			retained: []string{owner.State(), owner.Order(), owner.Round(), owner.Record()},
		})
	}
	p.once()
	return p, nil
}

// Consumer is a node that uses the released version of tasks of one owner.
func Consumer(cfg link.Config, ns topics.Namespace, path, owner string, tasks []string) (Party, error) {
	p := Party{link: cfg, ns: ns, rules: ns.Rules(topics.Party{Role: topics.RoleConsumer, Path: path, Owner: owner})}
	for _, name := range tasks {
		o, err := ns.Owner(owner, name)
		if err != nil {
			return p, err
		}
		own, err := ns.Member(path, name)
		if err != nil {
			return p, err
		}
		p.state = own.State()
		p.writes = append(p.writes, own.State(), own.Status())
		p.reads = append(p.reads, own.State())
		places, err := o.Places()
		if err != nil {
			return p, err
		}
		for _, at := range places {
			p.reads = append(p.reads, releasedTopics(at)...)
		}
	}
	p.once()
	return p, nil
}

// Aggregator is the aggregator of tasks at the node owner, with their members and the
// nodes that use what they release.
func Aggregator(cfg link.Config, ns topics.Namespace, owner string, tasks []string, members, consumers []topics.MemberFilter) (Party, error) {
	p := Party{link: cfg, ns: ns, rules: ns.Rules(topics.Party{Role: topics.RoleAggregator, Owner: owner, Members: members, Consumers: consumers})}
	for _, name := range tasks {
		own, err := ns.Owner(owner, name)
		if err != nil {
			return p, err
		}
		p.state = own.State()
		read := []string{own.State(), own.Command(), own.Order(), own.Record()}
		places, err := own.Places()
		if err != nil {
			return p, err
		}
		for _, o := range places {
			read = append(read, modelTopics(o)...)
		}
		p.writes = append(p.writes, read...)
		p.writes = append(p.writes, own.Round(), own.Event(), own.KPI("round"))
		p.reads = append(p.reads, read...)
		for _, f := range members {
			for _, k := range []topics.Kind{topics.State, topics.Join, topics.Update, topics.Part, topics.Need} {
				p.reads = append(p.reads, ns.MemberFilterTopics(f, name, k)...)
			}
		}
		for _, f := range consumers {
			p.reads = append(p.reads, ns.MemberFilterTopic(f, name, topics.Status))
		}
	}
	p.once()
	return p, nil
}

// modelTopics are those of the model of a task, of its released version and of the canary. Which slot a
// version lies in says its number, so that both of the usual two may be the one in use.
func modelTopics(o topics.Owner) []string {
	return append([]string{o.Model(), o.ModelPart(0, 0), o.ModelPart(1, 0)}, releasedTopics(o)...)
}

// releasedTopics are those of the released version, and of the canary.
func releasedTopics(o topics.Owner) (list []string) {
	for _, at := range []topics.Owner{o.Released(), o.Canary()} {
		list = append(list, at.Model(), at.ModelPart(0, 0), at.ModelPart(1, 0))
	}
	return list
}

// once leaves each topic in the lists once.
func (p *Party) once() {
	for _, list := range []*[]string{&p.writes, &p.reads} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}

// rule is the line of the access list that allows a party to write or read a topic,
// or all that a filter has; "" if there is none.
func (p *Party) rule(write bool, filter string) string {
	for _, r := range p.rules {
		if r.Write == write && topics.Contains(r.Filter, filter) {
			if write {
				return "topic write " + r.Filter
			}
			return "topic read " + r.Filter
		}
	}
	return ""
}
