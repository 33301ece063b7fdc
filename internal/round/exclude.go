package round

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxExcluded bounds what an operator can have a task remember.
const maxExcluded = 1000

// doExclude takes members out of all orders from the next one on. Whose update is in
// the sum of the open round stays in that round.
func (m *Machine) doExclude(paths []string) string {
	list := m.excludedSet()
	for _, p := range paths {
		if !m.cfg.member(p) {
			return fmt.Sprintf("%s is none of the task's members", p)
		}
		list[p] = true
	}
	if len(list) > maxExcluded {
		return fmt.Sprintf("%d would be excluded, at most %d; take them out of members: instead", len(list), maxExcluded)
	}
	m.exclude(list, paths)
	return ""
}

// doInclude lets them in again.
func (m *Machine) doInclude(paths []string) string {
	list := m.excludedSet()
	for _, p := range paths {
		if !list[p] {
			return p + " is not excluded"
		}
		delete(list, p)
	}
	m.exclude(list, paths)
	return ""
}

// strangers says which paths are of nobody that has ever joined: they may be spelled wrong.
func (m *Machine) strangers(paths []string) string {
	unknown := slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		_, ok := m.byPath[p]
		return ok
	})
	if len(unknown) == 0 {
		return ""
	}
	return "; no member so far has the path" + named(unknown)
}

func (m *Machine) excludedSet() map[string]bool {
	list := map[string]bool{}
	for _, p := range m.s.Excluded {
		list[p] = true
	}
	return list
}

// exclude takes over who is excluded now, and tells those for whom that changes.
func (m *Machine) exclude(list map[string]bool, changed []string) {
	m.s.Excluded = slices.Sorted(maps.Keys(list)) // not changed: it may have been given away
	m.excluded = list
	for _, p := range changed {
		i, ok := m.byPath[p]
		if !ok {
			continue
		}
		switch mem := &m.members[i]; {
		case list[p] && m.in[i]: // it may be at work
			m.leaving = append(m.leaving, i)
			continue
		case !list[p]:
			mem.FromRound, mem.FromAttempt = m.s.Round, m.s.Attempt+1
			m.change(i)
			m.urgent = true
		}
		m.welcome(i)
	}
}

// left is how many members an order can ask.
func (m *Machine) left() int {
	return len(slices.DeleteFunc(m.eligible(), func(i uint32) bool { return m.excluded[m.members[i].Path] }))
}

// out reports whether an operator has excluded a member, and no order asks it any more.
func (m *Machine) out(i uint32) bool { return m.excluded[m.members[i].Path] && !m.in[i] }

// whyOut is what a member reads that is excluded.
const whyOut = "excluded by an operator, until it is included again"

// tellOut tells those that were at work when they were excluded that the new order does
// not ask them any more, before they see it.
func (m *Machine) tellOut() {
	m.leaving = slices.DeleteFunc(m.leaving, func(i uint32) bool {
		if m.out(i) {
			m.welcome(i)
		}
		return !m.in[i] || !m.excluded[m.members[i].Path]
	})
}

// named is the members that a command names, the first of them.
func named(paths []string) string {
	const most = 3
	if n := len(paths) - most; n > 0 {
		return fmt.Sprintf(" %s and %d more", strings.Join(paths[:most], ", "), n)
	}
	return " " + strings.Join(paths, ", ")
}
