package topics

import "strings"

// Match reports whether an MQTT filter matches a topic: Contains for a topic,
// which has no wildcards.
func Match(filter, topic string) bool {
	return strings.IndexByte(topic, '+') < 0 && strings.IndexByte(topic, '#') < 0 && Contains(filter, topic)
}

// Contains reports whether every topic that the filter needle matches is
// matched by the filter allowed (T-14). It is false when either is not a
// filter: "", an empty level, a wildcard inside a level, "#" before the end,
// or a shared subscription. A leading wildcard never covers a "$" level. It
// allocates nothing: brokers call it at every delivery.
func Contains(allowed, needle string) bool {
	if !filterOK(allowed) || !filterOK(needle) {
		return false
	}
	if needle[0] == '$' && (allowed[0] == '+' || allowed[0] == '#') {
		return false
	}
	if allowed == "+/#" { // "#" also matches its parent level: the same set as "#"
		return true
	}
	for {
		a, arest, amore := strings.Cut(allowed, "/")
		f, frest, fmore := strings.Cut(needle, "/")
		switch {
		case a == "#":
			return true
		case f == "#":
			return false
		case a != "+" && a != f:
			return false
		case !fmore:
			return !amore || arest == "#"
		case !amore:
			return false
		}
		allowed, needle = arest, frest
	}
}

// filterOK reports whether s is an MQTT filter as T-13 has it.
func filterOK(s string) bool {
	if len(s) >= 6 && strings.EqualFold(s[:6], "$share") && (len(s) == 6 || s[6] == '/') {
		return false
	}
	for {
		l, rest, more := strings.Cut(s, "/")
		switch {
		case l == "":
			return false
		case l == "#":
			return !more
		case l != "+" && strings.ContainsAny(l, "+#\x00"):
			return false
		case !more:
			return true
		}
		s = rest
	}
}

// MatchPath reports whether an MQTT filter over paths below the namespace, such as
// "berlin/#", matches one.
func MatchPath(filter, path string) bool { return CheckPath(path) == nil && Match(filter, path) }

// CheckPathFilter reports why s is no such filter: levels are names, "+", or "#" at the end.
func CheckPathFilter(s string) error {
	above := strings.TrimSuffix(s, "/#")
	if s != "#" && (!filterOK(s) || levelsFault(above, MaxDepth, true) != "") {
		return refuse("filter", s, "1 to 5 levels, each + or "+levelWant+", or # at the end")
	}
	return nil
}

// MemberFilter chooses the members of a task by UNS filter: 1 to 5 levels,
// each a level name or "+" (T-11). The zero value matches nothing.
type MemberFilter struct{ s string }

// ParseMemberFilter checks s, for example "+/press-shop/+".
func ParseMemberFilter(s string) (MemberFilter, error) {
	if f := levelsFault(s, MaxDepth, true); f != "" {
		return MemberFilter{}, refuse("member filter", s, "1 to 5 levels, each + or "+levelWant, f)
	}
	return MemberFilter{s: s}, nil
}

// String returns the filter as it was parsed.
func (f MemberFilter) String() string { return f.s }

// Match reports whether path is a member path that the filter chooses. It
// allocates nothing when path is a member path.
func (f MemberFilter) Match(path string) bool {
	return f.s != "" && CheckPath(path) == nil && Match(f.s, path)
}

// MemberFilterTopic returns the filter for one kind of topic of all members
// that f chooses, for example acme/+/line-1/_fl_v1/quality/update. It ends in
// secagg/+ for SecAgg; task is not used for State.
func (n Namespace) MemberFilterTopic(f MemberFilter, task string, k Kind) string {
	in := k.info()
	topic := n.Node(f.s) + "/" + Marker + "/"
	if !in.taskless {
		topic += task + "/"
	}
	topic += in.leaf
	if k == SecAgg {
		topic += "/+"
	}
	return topic
}

// MemberFilterTopics returns that filter, and for bulk the same below each root.
func (n Namespace) MemberFilterTopics(f MemberFilter, task string, k Kind) []string {
	list := []string{n.MemberFilterTopic(f, task, k)}
	if k.Bulk() {
		for _, root := range n.roots {
			list = append(list, n.below(root, strings.TrimPrefix(list[0], n.prefix+"/")))
		}
	}
	return list
}
