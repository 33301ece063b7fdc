package round

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxSet bounds what an operator can have a task remember.
const maxSet = 64

// doSet has settings of training be others from the next round on; nil takes one
// back to the configuration's. An open round goes on as it was ordered, unless it begins
// again.
func (m *Machine) doSet(settings map[string]any) string {
	set := m.s.SetBy(settings)
	if len(set) > maxSet {
		return fmt.Sprintf("%d settings would be set, at most %d", len(set), maxSet)
	}
	m.s.Set = set // not changed in place: it may have been given away
	m.others = true
	return ""
}

// SetBy is what an operator has set once a command sets these; nil takes one back. It is
// new.
func (s *State) SetBy(settings map[string]any) map[string]any {
	set := maps.Clone(s.Set)
	if set == nil {
		set = map[string]any{}
	}
	for name, v := range settings {
		if v == nil {
			delete(set, name)
		} else {
			set[name] = v
		}
	}
	return set
}

// assigned is the settings that a command names.
func assigned(settings map[string]any) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if settings[name] == nil {
			list = append(list, name+" as configured")
		} else {
			list = append(list, fmt.Sprintf("%s=%v", name, settings[name]))
		}
	}
	return " " + strings.Join(list, ", ")
}
