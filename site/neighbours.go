package site

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// neighbour is an aggregator that is at this broker, somewhere else.
type neighbour struct {
	node  string
	tasks []string
	off   bool
}

// seeker is the search for aggregators that are not heard.
type seeker struct {
	at     ms // the next word, 0: none is due
	lookAt ms // the next lookup; 0: none was made
	busy   bool
	found  chan looked // shared with the goroutine that looks
	others []neighbour
}

// looked is what a lookup has brought.
type looked struct {
	list []neighbour
	err  error
}

// due is when a word is due, 0: never.
func (k *seeker) due(online bool) ms {
	if !online {
		return 0
	}
	return k.at
}

// Bounds of a lookup: what a broker keeps is read, not waited for.
const (
	lookTime    = 10 * time.Second // all of it
	lookQuiet   = time.Second      // nothing more comes
	mostLooked  = 20_000           // messages; sites have a state, too
	mostFound   = 1_000            // aggregators
	mostTasks   = 100              // of one, as its state names
	deepestLook = 4                // levels of a namespace
)

// errDenied: the broker does not let this site look.
var errDenied = errors.New("site: the broker does not say who else is there")

// lookFilters are the presences of every node that is one to four levels deep.
func lookFilters() (list []link.Filter) {
	for f := "+"; len(list) < deepestLook; f += "/+" {
		list = append(list, link.Filter{Topic: f + "/" + topics.Marker + "/state"})
	}
	return list
}

// lookup asks the broker, on a connection of its own, which aggregators it knows
// of. A connection of its own since brokers cut the one that asks for too much.
func (c Config) lookup(ctx context.Context) ([]neighbour, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	p, err := link.OpenProbe(ctx, c.lookLink(), false)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	codes, err := p.Subscribe(ctx, lookFilters()...)
	if errors.Is(err, link.ErrCut) || err == nil && !slices.ContainsFunc(codes, func(b byte) bool { return b < 0x80 }) {
		return nil, errDenied
	}
	if err != nil {
		return nil, err
	}
	var list []neighbour
	for n := 0; n < mostLooked && len(list) < mostFound; n++ {
		m, err := p.ReceiveWithin(ctx, lookQuiet)
		if err != nil {
			break // nothing more, or all that may be read
		}
		if found, ok := neighbourOf(m); ok {
			list = append(list, found)
		}
	}
	return list, nil
}

// lookLink is the site's own way to the broker, under another client id.
func (c Config) lookLink() link.Config {
	cfg := c.reach()
	cfg.ClientID, cfg.MaxPacket = c.ClientID+":look", maxState+4<<10
	return cfg
}

// neighbourOf reads the presence of an aggregator; names that are none are not
// repeated in a log.
func neighbourOf(m link.Message) (neighbour, bool) {
	var s State
	node, ok := strings.CutSuffix(m.Topic, "/"+topics.Marker+"/state")
	if _, err := topics.New(node); !ok || err != nil || len(m.Payload) > maxState || json.Unmarshal(m.Payload, &s) != nil {
		return neighbour{}, false
	}
	if s.Schema != StateSchema || !slices.Contains(s.Roles, "aggregator") {
		return neighbour{}, false
	}
	n := neighbour{node: node, off: !s.Online}
	for _, t := range s.Tasks[:min(len(s.Tasks), mostTasks)] {
		if topics.CheckTask(t) == nil {
			n.tasks = append(n.tasks, t)
		}
	}
	return n, true
}

// mostSaid is how many a sentence names.
const mostSaid = 5

// instead names who is there in the place of a task at a node: what differs in
// case or in one letter first, then what is on line, then the rest.
func instead(list []neighbour, node, task string) string {
	all := make([]described, 0, len(list))
	for _, n := range list {
		all = append(all, n.described(node, task))
	}
	slices.SortStableFunc(all, func(a, b described) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.what, b.what)) })
	var said []string
	for _, n := range all {
		said = append(said, n.what)
	}
	return few(said)
}

// described is a neighbour in words, and how likely it is not the one that is meant.
type described struct {
	what string
	rank int
}

func (n neighbour) described(node, task string) described {
	tasks := slices.Clone(n.tasks)
	slices.SortStableFunc(tasks, func(a, b string) int {
		return cmp.Or(cmp.Compare(likeness(task, a), likeness(task, b)), cmp.Compare(a, b))
	})
	is := described{n.node + " has " + few(tasks), 4 * likeness(node, n.node)}
	if len(tasks) > 0 {
		is.rank += likeness(task, tasks[0])
	}
	if n.off {
		is.rank += 100
		is.what += " (off line)"
	}
	return is
}

// few joins the first names of a list and says how many more there are.
func few(names []string) string {
	if len(names) == 0 {
		return "no task"
	}
	s := strings.Join(names[:min(len(names), mostSaid)], ", ")
	if more := len(names) - mostSaid; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// likeness is how far two names are apart: 0 the same, 1 but for case, 2 one
// letter more, less or another, 3 all else.
func likeness(a, b string) int {
	switch {
	case a == b:
		return 0
	case strings.EqualFold(a, b):
		return 1
	case oneLetter(strings.ToLower(a), strings.ToLower(b)):
		return 2
	}
	return 3
}

// oneLetter reports whether one byte more, less or another makes b of a.
func oneLetter(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return len(b) == len(a)+1 && a[i:] == b[i+1:]
}
