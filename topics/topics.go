// Package topics is the grammar of fedmq's MQTT topics: the only place where
// a topic is put together, taken apart, matched or compared.
//
// Start with [New], then [Namespace.Owner] and [Namespace.Member] for the
// topics of one task, [Namespace.Parse] for a topic that arrived, and
// [Namespace.Rules] for what a party may write and read. docs/spec/topics.md
// states the rules by number (T-1 ...); the code cites them.
//
// The package does no input or output, keeps no state, and imports the
// standard library only. Nothing in it panics, whatever string it is given.
package topics

import (
	"errors"
	"fmt"
	"strings"
)

// Marker is the level that marks fedmq's data contract, version 1, below a
// node of the Unified Namespace (T-4).
const Marker = "_fl_v1"

// Limits of the grammar.
const (
	MaxNode  = 200  // bytes of <ns>/<path> (T-3)
	MaxDepth = 5    // levels of a path below the namespace (T-3)
	MaxLevel = 64   // bytes of one level, and of a task name (T-2, T-5)
	MaxSlots = 8    // slots of a model: 0..7 (T-7)
	MaxParts = 4000 // parts of a model: 0..3999 (T-7)
)

// ErrTopic is wrapped by every error of this package: a name, path, filter or
// topic that the grammar does not have.
var ErrTopic = errors.New("topics: not in the grammar")

func refuse(what, got, want string) error {
	if len(got) > 2*MaxNode {
		got = got[:2*MaxNode] + "..."
	}
	return fmt.Errorf("%w: %s %q: want %s", ErrTopic, what, got, want)
}

// Namespace is the enterprise's prefix, one or more levels ("acme",
// "umh/v1/acme"). Make one with [New]; the zero value builds nothing that
// parses.
type Namespace struct{ prefix string }

// New checks ns (T-2) and returns its namespace.
func New(ns string) (Namespace, error) {
	if !levels(ns, MaxNode) {
		return Namespace{}, refuse("namespace", ns, "levels of [A-Za-z0-9_-]{1,64} not starting with _, at most 200 bytes in all")
	}
	return Namespace{prefix: ns}, nil
}

// String returns the prefix as it was given to [New].
func (n Namespace) String() string { return n.prefix }

// Node returns the full path of a node: the namespace itself for "", else
// <ns>/<path>. It checks nothing.
func (n Namespace) Node(path string) string {
	if path == "" {
		return n.prefix
	}
	return n.prefix + "/" + path
}

// checkNode reports whether path names a node: "" for the namespace, or a
// member path that keeps <ns>/<path> within MaxNode bytes.
func (n Namespace) checkNode(path string) error {
	if n.prefix == "" {
		return refuse("namespace", "", "one made by New")
	}
	if path == "" {
		return nil
	}
	return n.checkMember(path)
}

// checkMember is [CheckPath] with the limit on the whole node.
func (n Namespace) checkMember(path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if n.prefix == "" || len(n.prefix)+1+len(path) > MaxNode {
		return refuse("path", path, "at most 200 bytes together with the namespace "+n.prefix)
	}
	return nil
}

// CheckPath reports why path is not a member path: 1 to 5 levels of
// [A-Za-z0-9_-]{1,64} not starting with "_" (T-2, T-3).
func CheckPath(path string) error {
	if !levels(path, MaxNode) || strings.Count(path, "/") >= MaxDepth {
		return refuse("path", path, "1 to 5 levels of [A-Za-z0-9_-]{1,64} not starting with _")
	}
	return nil
}

// CheckTask reports why task is not a task name: [a-z0-9-]{1,64}, and neither
// "state" nor "roster", which are topics of the node (T-5).
func CheckTask(task string) error {
	const want = "[a-z0-9-]{1,64}, not state or roster"
	if task == "" || len(task) > MaxLevel || task == leafState || task == leafRoster {
		return refuse("task", task, want)
	}
	for i := range len(task) {
		c := task[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return refuse("task", task, want)
		}
	}
	return nil
}

// CheckName reports why name is not the name of a kpi: one level (T-2, T-8).
func CheckName(name string) error {
	if !level(name) {
		return refuse("name", name, "[A-Za-z0-9_-]{1,64} not starting with _")
	}
	return nil
}

// levels reports whether s is one or more levels joined by "/", at most limit
// bytes in all.
func levels(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for {
		head, rest, more := strings.Cut(s, "/")
		if !level(head) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

// level reports whether s is a level name (T-2).
func level(s string) bool {
	if s == "" || len(s) > MaxLevel || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
