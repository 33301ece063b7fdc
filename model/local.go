package model

import (
	"slices"
	"strings"
)

// Locals says which tensors of a model a site keeps for itself: patterns of names, in
// which * is any run of characters, dots too. The zero value keeps none.
type Locals struct {
	Share []string // if there are any, all others are kept
	Keep  []string // wins over Share
}

// IsZero reports that nothing is kept.
func (l Locals) IsZero() bool { return len(l.Share)+len(l.Keep) == 0 }

// Has reports whether sites keep a tensor. What statistics of a federation fill is nobody's own.
func (l Locals) Has(name string) bool {
	is := func(pattern string) bool { return matches(pattern, name) }
	switch {
	case IsStatistic(name):
		return false
	case slices.ContainsFunc(l.Keep, is):
		return true
	}
	return len(l.Share) > 0 && !slices.ContainsFunc(l.Share, is)
}

// Apply returns the schema with the rule [Keep] for what sites keep.
func (l Locals) Apply(s Schema) Schema {
	s = slices.Clone(s)
	for i := range s {
		if l.Has(s[i].Name) {
			s[i].Rule = Keep
		}
	}
	return s
}

// Own returns the tensors that sites keep, in the order of the schema.
func (l Locals) Own(s Schema) Schema {
	var own Schema
	for _, spec := range s {
		if l.Has(spec.Name) {
			own = append(own, spec)
		}
	}
	return own
}

// Names are those of the tensors that sites keep, in the order of the schema.
func (l Locals) Names(s Schema) (names []string) {
	for _, spec := range l.Own(s) {
		names = append(names, spec.Name)
	}
	return names
}

// Idle returns the patterns that no tensor has, but for those that nobody keeps.
func (l Locals) Idle(s Schema) (list []string) {
	for _, p := range slices.Concat(l.Share, l.Keep) {
		if !slices.ContainsFunc(s, func(spec Spec) bool { return !IsStatistic(spec.Name) && matches(p, spec.Name) }) {
			list = append(list, p)
		}
	}
	return list
}

// matches reports whether a name has a pattern: its texts between the stars in their
// order, the first at the start and the last at the end.
func matches(pattern, name string) bool {
	texts := strings.Split(pattern, "*")
	if len(texts) == 1 {
		return pattern == name
	}
	first, last := texts[0], texts[len(texts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	rest := name[len(first) : len(name)-len(last)]
	for _, text := range texts[1 : len(texts)-1] {
		i := strings.Index(rest, text)
		if i < 0 {
			return false
		}
		rest = rest[i+len(text):]
	}
	return true
}
