package member

import "fmt"

// over reports whether an order is of a former life, and no news of it (S-45).
func (m *Machine) over(o Order) bool {
	for _, f := range m.st.Former {
		if f.Origin == o.Origin && o.Epoch <= f.Epoch {
			return true
		}
	}
	return o.Origin.IsZero()
}

// follows reports whether an order is of the life of the task that this member
// follows, from now on if need be. What was made for the life before counts for
// nobody any more: all of it goes (S-45). anew says so to a person.
func (m *Machine) follows(o Order) (anew string, ok bool) {
	switch {
	case o.Origin == m.st.Origin:
		return "", true
	case m.over(o):
		m.trouble = fmt.Sprintf("order %s ignored: it is of the origin %q, a former life of the task", o.Stamp, o.Origin)
		return "", false
	}
	was, unsent := m.st, len(m.entries)
	if m.job != nil {
		m.cancel()
	}
	for _, e := range m.entries {
		m.out.Drop = append(m.out.Drop, e.Round)
		m.tell(e, false)
	}
	m.entries, m.decline, m.order, m.head, m.resealing = nil, nil, nil, head{}, false
	m.st.Origin = o.Origin
	m.save()
	if m.connected {
		m.joining.set(m.now, joinFirst)
	}
	if was.Origin.IsZero() { // nothing was followed before, or by a version that knew of no origins
		return "", true
	}
	m.answered, m.heard, m.placed = false, 0, placed{}
	m.st = State{Counter: was.Counter, Origin: o.Origin, Former: was.Former}
	copy(m.st.Former[1:], was.Former[:])
	m.st.Former[0] = Former{was.Origin, was.Seen.Epoch}
	text := fmt.Sprintf("the task begins anew: %s", anewMeans(unsent))
	m.out.Anew = text
	return text, true
}

// anewMeans tells a person what has happened, what follows, and what to do.
func anewMeans(unsettled int) string {
	return fmt.Sprintf("its owner has lost its data, or another owner is in its place. What this site had of the task, its place and the updates "+
		"that were not settled (%d), is dropped, and it joins again. If nobody meant this, stop the owner and restore its backup", unsettled)
}
