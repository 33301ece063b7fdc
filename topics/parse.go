package topics

import "strings"

// Parse takes a topic of this namespace apart. It accepts exactly what
// [Namespace.Build] builds; everything else is an error that wraps
// [ErrTopic]. What it returns has been checked, and can be printed; in the name of
// a file it wants [Escape].
func (n Namespace) Parse(s string) (Topic, error) {
	const want = "<ns>[/<path>]/_fl_v1/..."
	root, below, ok := n.cut(s)
	if !ok {
		return Topic{}, refuse("topic", s, want+" below "+n.prefix)
	}
	t := Topic{Bulk: root}
	rest, ok := strings.CutPrefix(below, Marker+"/")
	if !ok {
		t.Path, rest, ok = strings.Cut(below, "/"+Marker+"/")
		if !ok || t.Path == "" {
			return Topic{}, refuse("topic", s, want)
		}
	}
	if !t.parseRest(rest) {
		return Topic{}, refuse("topic", s, "a known topic below "+Marker)
	}
	if err := n.check(t); err != nil {
		return Topic{}, err
	}
	return t, nil
}

// parseRest fills in what follows the marker; the caller checks the values.
func (t *Topic) parseRest(rest string) bool {
	leaf, tail, more := strings.Cut(rest, "/")
	taskless := leaf == leafState || leaf == leafRoster
	if !taskless {
		t.Task = leaf
		if !more {
			return false
		}
		leaf, tail, more = strings.Cut(tail, "/")
	}
	if more && tail == "" {
		return false
	}
	for k := State; int(k) < len(kinds); k++ {
		in := kinds[k]
		if in.leaf == leaf && in.taskless == taskless && t.parseTail(in.form, tail) {
			t.Kind = k
			return true
		}
	}
	return false
}

// parseTail reads the levels after the leaf; on false t is unchanged.
func (t *Topic) parseTail(f form, tail string) bool {
	switch f {
	case plain:
		return tail == ""
	case parts:
		return t.parsePart(tail)
	case named:
		t.Name = tail
	case replying:
		t.Member = tail
	case phased:
		phase, member, more := strings.Cut(tail, "/")
		if more != (phase == phaseInbox) {
			return false
		}
		t.Phase, t.Member = phase, member
	case phasedIn:
		phase, part, _ := strings.Cut(tail, "/")
		if !t.parsePart(part) {
			return false
		}
		t.Phase = phase
	}
	return true
}

// parsePart reads <slot>/<part>.
func (t *Topic) parsePart(s string) bool {
	a, b, _ := strings.Cut(s, "/")
	slot, ok := decimal(a)
	part, ok2 := decimal(b)
	if !ok || !ok2 {
		return false
	}
	t.Slot, t.Part = slot, part
	return true
}

// decimal reads a number of at most four digits in its shortest form.
func decimal(s string) (int, bool) {
	if s == "" || len(s) > 4 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	v := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, true
}
