package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/strategy"
)

// guardFile is what stands before the strategy: on, off, fixed, or the mapping of its
// parts, zero and clip, each of them on, off or its numbers.
type guardFile struct {
	guard *strategy.Guard // nil: the default
	fixed bool            // clipping at strategy.clip, and nothing else
}

// UnmarshalYAML takes a word or the mapping.
func (g *guardFile) UnmarshalYAML(n ast.Node) error {
	v, err := plain(n)
	if err != nil {
		return err
	}
	guard := strategy.DefaultGuard()
	parts, _ := v.(map[string]any)
	switch {
	case parts != nil:
		if guard, err = guardOf(n, parts); err != nil {
			return err
		}
	case v == "on":
	case v == "off":
		guard = strategy.Guard{}
	case v == "fixed":
		g.fixed = true
	default:
		return placed(n, "strategy.guard: want on, off, fixed, or a mapping of zero and clip")
	}
	g.guard = &guard
	return nil
}

// guardOf reads the parts. What is not said of them is as if there were no mapping.
func guardOf(n ast.Node, parts map[string]any) (strategy.Guard, error) {
	values := strategy.DefaultGuard().Values()
	known := strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: strategy.DefaultClipping()}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != "zero" && name != "clip" {
			return known, placed(n, "unknown key %q in strategy.guard; want zero and clip", name)
		}
		maps.DeleteFunc(values, func(key string, _ float64) bool { return strings.HasPrefix(key, name+".") })
		if parts[name] == "off" {
			continue
		}
		for key, x := range known.Values() {
			if strings.HasPrefix(key, name+".") {
				values[key] = x
			}
		}
		if err := guardPart(n, name, parts[name], values); err != nil {
			return known, err
		}
	}
	g, err := strategy.GuardOf(values)
	if err != nil {
		return g, placed(n, "strategy.%v", err)
	}
	return g, nil
}

// guardPart reads the numbers of a part into values that have its defaults.
func guardPart(n ast.Node, part string, v any, values map[string]float64) error {
	numbers, _ := v.(map[string]any)
	if numbers == nil && v != "on" {
		return placed(n, "strategy.guard.%s: want on, off, or a mapping of numbers", part)
	}
	const initial = "clip.initial"
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		key, text := part+"."+name, numbers[name]
		if _, ok := values[key]; !ok && key != initial {
			known := append(slices.Sorted(maps.Keys(values)), initial)
			if best := near.Of(key, known); best != "" {
				return placed(n, "unknown key %q in strategy.guard; did you mean %q?", key, best)
			}
			return placed(n, "unknown key %q in strategy.guard", key)
		}
		if text == "auto" && key == initial {
			continue
		}
		number, ok := text.(json.Number)
		if !ok {
			return placed(n, "strategy.guard.%s: want a number", key)
		}
		x, err := number.Float64()
		if err != nil || x == 0 && key == initial {
			return placed(n, "strategy.guard.%s: %s, want auto, or a number above 0 that fits", key, number)
		}
		values[key] = x
	}
	return nil
}

// of is the guard of a task whose strategy.clip is this; nil: none is given.
func (g guardFile) of(clip *float64) (*strategy.Guard, error) {
	switch {
	case g.fixed && clip == nil:
		return nil, errors.New("strategy.guard: fixed wants the norm to which updates are clipped beside it, clip: C, such as strategy: {guard: fixed, clip: 1}")
	case g.fixed:
		return &strategy.Guard{Clip: &strategy.Clipping{Initial: *clip}}, nil
	case clip != nil:
		return nil, errors.New("strategy.clip has no effect without guard: fixed: write both, or guard: {clip: on} for one that follows the updates")
	}
	return g.guard, nil
}
