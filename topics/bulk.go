package topics

import (
	"fmt"
	"slices"
	"strings"
)

// Configured is [New] with [Namespace.WithBulk]. An error begins with the key of a
// configuration that is at fault, namespace or bulk, and wraps [ErrTopic].
func Configured(prefix string, bulk ...string) (Namespace, error) {
	ns, err := New(prefix)
	if err != nil {
		return ns, fmt.Errorf("namespace: %w", err)
	}
	if ns, err = ns.WithBulk(bulk...); err != nil {
		return ns, fmt.Errorf("bulk: %w", err)
	}
	return ns, nil
}

// WithBulk returns the namespace with roots of bulk (T-21): topics that stand for it in
// those of updates and models, so that who reads all below the namespace is not sent
// them. An aggregator has one, a site those that it accepts; "" is none.
func (n Namespace) WithBulk(roots ...string) (Namespace, error) {
	n.roots = nil
	for _, r := range roots {
		if r == "" {
			continue
		}
		if f := levelsFault(r, MaxNode, false); f != "" {
			return Namespace{}, refuse("bulk", r, "one or more levels, each "+levelWant, f)
		}
		for _, other := range append([]string{n.prefix}, n.roots...) {
			if within(r, other) || within(other, r) {
				return Namespace{}, refuse("bulk", r, "a topic that is neither above nor below "+other)
			}
		}
		n.roots = append(n.roots, r)
	}
	return n, nil
}

// Roots are the places of bulk: "" for the namespace itself, and the roots.
func (n Namespace) Roots() []string { return append([]string{""}, n.roots...) }

// HasBulk reports whether root is "" or a root of bulk of the namespace.
func (n Namespace) HasBulk(root string) bool { return root == "" || slices.Contains(n.roots, root) }

func within(topic, above string) bool { return strings.HasPrefix(topic+"/", above+"/") }

// below is the node of a path below a root of bulk, or below the namespace for "".
func (n Namespace) below(root, path string) string {
	if root != "" {
		n.prefix = root
	}
	return n.Node(path)
}

// checkBulk reports why root is no place for the topics of a node.
func (n Namespace) checkBulk(root, path string) error {
	switch {
	case !n.HasBulk(root):
		return refuse("bulk", root, "a root that the namespace has: "+strings.Join(n.roots, ", "))
	case len(n.below(root, path)) > MaxNode:
		return refuse("path", path, "at most 200 bytes together with the root of bulk "+root)
	}
	return nil
}

// cut takes the namespace, or a root of bulk, off a topic.
func (n Namespace) cut(s string) (root, below string, ok bool) {
	if n.prefix == "" {
		return "", "", false
	}
	if below, ok = strings.CutPrefix(s, n.prefix+"/"); ok {
		return "", below, true
	}
	for _, r := range n.roots {
		if below, ok = strings.CutPrefix(s, r+"/"); ok {
			return r, below, true
		}
	}
	return "", "", false
}

// Places returns the topics of the task with those of bulk at each of the places of the
// namespace, or an error that wraps [ErrTopic].
func (o Owner) Places() ([]Owner, error) { return places(o.ns, o.Below) }

// Places is [Owner.Places] for what a member writes.
func (m Member) Places() ([]Member, error) { return places(m.ns, m.Below) }

func places[T any](ns Namespace, below func(root string) (T, error)) (list []T, err error) {
	for _, root := range ns.Roots() {
		at, err := below(root)
		if err != nil {
			return nil, err
		}
		list = append(list, at)
	}
	return list, nil
}

// Below returns the topics of the task with those of bulk below a root that the
// namespace has, or an error that wraps [ErrTopic]; below the namespace for "".
func (o Owner) Below(root string) (Owner, error) {
	at, err := o.below(root)
	o.speaker = at
	return o, err
}

// Below is [Owner.Below] for what a member writes.
func (m Member) Below(root string) (Member, error) {
	at, err := m.below(root)
	return Member{at}, err
}

func (s speaker) below(root string) (speaker, error) {
	if err := s.ns.checkBulk(root, s.path); err != nil {
		return speaker{}, err
	}
	s.bulk = s.ns.below(root, s.path) + strings.TrimPrefix(s.base, s.node)
	return s, nil
}
