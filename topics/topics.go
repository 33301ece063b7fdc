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

// refuse says what is no name or topic, what it has that it must not, if that is
// known, and what was wanted. Quoted, it can be printed whatever it holds.
func refuse(what, got, want string, faults ...string) error {
	if len(got) > 2*MaxNode {
		got = got[:2*MaxNode] + "..."
	}
	has := ""
	if len(faults) > 0 {
		has = " has " + faults[0]
	}
	return fmt.Errorf("%w: %s %q%s: want %s", ErrTopic, what, got, has, want)
}

// Namespace is the enterprise's prefix, one or more levels ("acme",
// "umh/v1/acme"). Make one with [New]; the zero value builds nothing that
// parses.
type Namespace struct {
	prefix string
	roots  []string // of bulk (T-21)
}

// New checks ns (T-2) and returns its namespace.
func New(ns string) (Namespace, error) {
	if f := levelsFault(ns, MaxNode, false); f != "" {
		return Namespace{}, refuse("namespace", ns, "one or more levels, each "+levelWant+", at most 200 bytes in all", f)
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

// CheckPath reports why path is not a member path: 1 to 5 levels (T-2, T-3).
func CheckPath(path string) error {
	if f := levelsFault(path, MaxDepth, false); f != "" {
		return refuse("path", path, "1 to 5 levels, each "+levelWant, f)
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
			return refuse("task", task, want, fmt.Sprintf("the byte %q", c))
		}
	}
	return nil
}

// CheckName reports why name is not the name of a kpi (T-8).
func CheckName(name string) error {
	if !word(name) {
		return refuse("name", name, wordWant)
	}
	return nil
}
