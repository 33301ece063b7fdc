package trainer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
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

// Rated is an optional part of a Trainer that has a setting lr.
type Rated interface {
	// LR is the learning rate where the settings say none; 0: it is not known.
	LR() float64
}

// LROf returns the learning rate of t where the settings say none; 0: it does not say.
func LROf(t Trainer) float64 {
	if r, ok := t.(Rated); ok {
		return r.LR()
	}
	return 0
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

// settingProblem says what was wanted of a setting, in words.
func settingProblem(err error) error {
	te := new(json.UnmarshalTypeError)
	if !errors.As(err, &te) {
		return fmt.Errorf("trainer: settings: %w", err)
	}
	want := map[reflect.Kind]string{
		reflect.Float32: "a number", reflect.Float64: "a number", reflect.String: "text", reflect.Bool: "true or false",
		reflect.Slice: "a list", reflect.Struct: "a mapping", reflect.Map: "a mapping",
	}[te.Type.Kind()]
	return fmt.Errorf("trainer: settings: %s: want %s, not %s", te.Field, cmp.Or(want, "a whole number"), te.Value)
}

// withoutValue is the first setting that is null; "" if none is.
func withoutValue(settings json.RawMessage) string {
	var set map[string]json.RawMessage
	if json.Unmarshal(settings, &set) != nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if string(set[name]) == "null" {
			return name
		}
	}
	return ""
}
