package broker

import "strings"

// names are the topics that have something retained, level by level. The library has
// such a tree too, where it looks without a lock, so that it may read half a string
// and panic (M14), and finds messages, copies of all at once.
type names struct {
	topic string // that ends here, "" for none
	below map[string]*names
}

func (n *names) add(topic string) {
	for level := range strings.SplitSeq(topic, "/") {
		next := n.below[level]
		if next == nil {
			if n.below == nil {
				n.below = map[string]*names{}
			}
			next = &names{}
			n.below[level] = next
		}
		n = next
	}
	n.topic = topic
}

// remove takes topic out, of which rest lies below n, and reports whether nothing is
// left there.
func (n *names) remove(rest string) (empty bool) {
	level, rest, more := strings.Cut(rest, "/")
	at := n.below[level]
	if at == nil {
		return false
	}
	if more {
		more = !at.remove(rest)
	} else {
		at.topic = ""
		more = len(at.below) > 0
	}
	if !more {
		delete(n.below, level)
	}
	return n.topic == "" && len(n.below) == 0
}

// each calls f with every topic that the filter matches.
func (n *names) each(filter string, f func(topic string)) { n.walk(filter, true, f) }

func (n *names) walk(filter string, first bool, f func(string)) {
	level, rest, more := strings.Cut(filter, "/")
	switch level {
	case "#":
		n.all(first, f)
	case "+":
		for name, at := range n.below {
			if !hidden(name, first) {
				at.step(rest, more, f)
			}
		}
	default:
		if at := n.below[level]; at != nil {
			at.step(rest, more, f)
		}
	}
}

// step goes on with what is left of a filter, if there is more.
func (n *names) step(rest string, more bool, f func(string)) {
	switch {
	case more:
		n.walk(rest, false, f)
	case n.topic != "":
		f(n.topic)
	}
}

func (n *names) all(first bool, f func(string)) {
	if n.topic != "" {
		f(n.topic)
	}
	for name, at := range n.below {
		if !hidden(name, first) {
			at.all(false, f)
		}
	}
}

// hidden tells whether no wildcard matches the level.
func hidden(level string, first bool) bool { return first && strings.HasPrefix(level, "$") }
