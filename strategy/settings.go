package strategy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/model"
)

// ErrSetting means a parameter that a strategy or an optimiser does not have, or a
// value that it cannot have.
var ErrSetting = errors.New("strategy: setting")

// Param is one parameter of a strategy or of an optimiser.
type Param struct {
	Name     string   // 1 to 32 of A-Z a-z 0-9 _
	Default  any      // float64 or string; nil: it has to be given
	Min, Max float64  // of a number, inclusive
	Above    bool     // it is above Min, not Min itself
	Below    bool     // likewise below Max
	Whole    bool     // whole numbers only
	Words    []string // of a text: what it may be; a number too, if Max is above Min
	Doc      string   // in a line, for the page of strategies and for errors
}

// Settings are parameters by name, each a float64 or a string. Those that an order or a
// record has, and that are configured, are complete: every [Param] is in them.
type Settings map[string]any

// Number returns a parameter that is a number, 0 if there is none.
func (s Settings) Number(name string) float64 {
	x, _ := s[name].(float64)
	return x
}

// Text returns a parameter that is a text, "" if there is none.
func (s Settings) Text(name string) string {
	x, _ := s[name].(string)
	return x
}

// Configurable is a [Strategy] with parameters. What is in a registry is a prototype:
// rounds are folded by what Configure makes of it.
type Configurable interface {
	Strategy
	Params() []Param
	// Configure returns the strategy with these parameters, which are complete and each
	// within its range. Errors say what of them does not go together.
	Configure(s Settings) (Strategy, error)
}

// ConfigurableOptimiser is likewise an [Optimiser].
type ConfigurableOptimiser interface {
	Optimiser
	Params() []Param
	Configure(s Settings) (Optimiser, error)
}

// configurable is either of them.
type configurable[T any] interface {
	Params() []Param
	Configure(s Settings) (T, error)
}

// Settings returns the complete parameters of a strategy, its defaults where given has
// none; nil for one without parameters. Errors wrap [ErrUnknown] or [ErrSetting].
func (g Registry) Settings(name string, given Settings) (Settings, error) {
	_, all, err := g.strategy(name, given)
	return all, err
}

// ServerSettings does so for a server optimiser.
func (g Registry) ServerSettings(name string, given Settings) (Settings, error) {
	_, all, err := g.optimiser(name, given)
	return all, err
}

func (g Registry) strategy(name string, given Settings) (Strategy, Settings, error) {
	return configured("strategy", name, given, strategies, g.Strategies)
}

func (g Registry) optimiser(name string, given Settings) (Optimiser, Settings, error) {
	return configured("server optimiser", name, given, optimisers, g.Optimisers)
}

// configured is what a registry has by this name, with its parameters.
func configured[T interface{ Name() string }](what, name string, given Settings, lists ...[]T) (v T, all Settings, err error) {
	if v, err = find(what, name, lists...); err != nil {
		return v, nil, err
	}
	var params []Param
	c, ok := any(v).(configurable[T])
	if ok {
		params = c.Params()
	}
	if all, err = complete(params, given); err == nil && ok {
		v, err = c.Configure(all)
	}
	if err != nil {
		return v, nil, fmt.Errorf("%w: %s %s: %w", ErrSetting, what, name, err)
	}
	return v, all, nil
}

// complete checks what is given and fills in the defaults.
func complete(params []Param, given Settings) (Settings, error) {
	var all Settings
	if len(params) > 0 {
		all = Settings{}
	}
	var errs []error
	for _, p := range params {
		v, ok := given[p.Name]
		if !ok {
			v = p.Default
		}
		if v, err := p.check(v); err != nil {
			errs = append(errs, err)
		} else {
			all[p.Name] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(params, func(p Param) bool { return p.Name == name }) {
			errs = append(errs, fmt.Errorf("it has no parameter %.64q; it has %s", name, paramNames(params)))
		}
	}
	return all, errors.Join(errs...)
}

func paramNames(params []Param) string {
	if len(params) == 0 {
		return "none"
	}
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// check returns the value of a parameter as settings have it: true and false are the
// words "true" and "false".
func (p Param) check(v any) (any, error) {
	want := p.Range()
	if p.Doc != "" {
		want += ": " + p.Doc
	}
	switch x := v.(type) {
	case nil:
		return nil, fmt.Errorf("%s: missing; want %s", p.Name, want)
	case bool:
		v = strconv.FormatBool(x)
	case int:
		v = float64(x)
	}
	switch x := v.(type) {
	case string:
		if !slices.Contains(p.Words, x) {
			return nil, fmt.Errorf("%s: %.64q, want %s", p.Name, x, want)
		}
	case float64:
		if !p.number() || !p.within(x) {
			return nil, fmt.Errorf("%s: %v, want %s", p.Name, x, want)
		}
		v = x + 0 // -0 is 0
	default:
		return nil, fmt.Errorf("%s: %v, want %s", p.Name, x, want)
	}
	return v, nil
}

func (p Param) number() bool { return p.Words == nil || p.Max > p.Min }

func (p Param) within(x float64) bool {
	return x >= p.Min && x <= p.Max && !(p.Above && x == p.Min) && !(p.Below && x == p.Max) && !(p.Whole && x != math.Trunc(x))
}

// Range says what a parameter may be.
func (p Param) Range() string {
	list := slices.Clone(p.Words)
	if p.number() {
		list = append(list, fmt.Sprintf("%s%s%.15g to %s%.15g",
			when(p.Whole, "whole numbers from "), when(p.Above, "above "), p.Min, when(p.Below, "below "), p.Max))
	}
	return strings.Join(list, ", ")
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

// stateName is under which name a state lies of what has this name and these parameters:
// a state is no other's, and none that was made with other parameters.
func stateName(name string, s Settings) (string, error) {
	if len(s) == 0 {
		return name, nil
	}
	b, err := json.Marshal(s) // names ascend
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrSetting, name, err)
	}
	return fmt.Sprintf("%s %.16s", name, model.HashOf(b)), nil
}

// paramName is what a parameter is called in a configuration.
var paramName = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)

// reserved are the keys that a strategy has in a configuration beside its parameters.
var reserved = []string{"name", "weights", "cap", "cap_factor", "grid_b", "server", "guard", "clip", "root"}

// checkParams reports parameters that no configuration could give, or whose defaults
// are none.
func checkParams[T interface{ Name() string }](what string, list []T) error {
	for _, v := range list {
		c, ok := any(v).(configurable[T])
		if !ok {
			continue
		}
		seen := map[string]bool{}
		for _, p := range c.Params() {
			if !paramName.MatchString(p.Name) || slices.Contains(reserved, p.Name) || seen[p.Name] {
				return fmt.Errorf("strategy: %s %s has the parameter %.64q: want 1 to 32 of A-Z a-z 0-9 _, each once, and none of %s", what, v.Name(), p.Name, strings.Join(reserved, ", "))
			}
			seen[p.Name] = true
			if p.Default == nil {
				continue
			}
			if _, err := p.check(p.Default); err != nil {
				return fmt.Errorf("strategy: %s %s, default of %w", what, v.Name(), err)
			}
		}
	}
	return nil
}
