package trainer

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/near"
)

// Configured is an optional part of a Trainer: it names its settings, so that
// a site declines an order with another before anything is trained.
type Configured interface {
	// Settings returns the names of all settings that the trainer knows; nil: they
	// are not known.
	Settings() []string
}

// SettingsOf returns the names of the settings that t knows; nil: it does not
// say.
func SettingsOf(t Trainer) []string {
	if c, ok := t.(Configured); ok {
		return c.Settings()
	}
	return nil
}

// UnknownSetting returns the first setting, by name, that is not among known,
// and the known one that is nearest, if one is near; "" when there is none, or
// known is nil.
func UnknownSetting(known []string, settings json.RawMessage) (name, nearest string) {
	var set map[string]json.RawMessage
	if known == nil || json.Unmarshal(settings, &set) != nil { // what is no object is the trainer's to refuse
		return "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains(known, name) {
			return name, near.Of(name, known)
		}
	}
	return "", ""
}
