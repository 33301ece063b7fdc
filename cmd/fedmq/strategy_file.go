package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/strategy"
)

// strategyKeys are the keys of a strategy beside its parameters.
type strategyKeys struct {
	Name      string     `yaml:"name"`
	Weights   string     `yaml:"weights"`
	Cap       uint64     `yaml:"cap"`
	CapFactor uint64     `yaml:"cap_factor"`
	GridB     *int       `yaml:"grid_b"`
	Server    serverFile `yaml:"server"`
	Guard     guardFile  `yaml:"guard"`
	Clip      *float64   `yaml:"clip"`
	Share     []string   `yaml:"share"`
	KeepLocal []string   `yaml:"keep_local"`

	Root *trainerFile `yaml:"root"`
}

// strategyFile is a strategy with its parameters, or its name alone.
type strategyFile struct {
	strategyKeys
	params strategy.Settings
}

type serverKeys struct {
	Name string `yaml:"name"`
}

// serverFile is likewise a server optimiser.
type serverFile struct {
	serverKeys
	params strategy.Settings
}

// UnmarshalYAML takes a mapping, or a name.
func (f *strategyFile) UnmarshalYAML(n ast.Node) (err error) {
	if f.params, err = readNamed(n, "strategy", &f.strategyKeys, &f.Name); err != nil {
		return err
	}
	about, ok := strategy.Registry{}.AboutStrategy(f.Name)
	if !ok {
		return nil // the name is refused, with all that there are
	}
	return onlyParams(n, "strategy", about, yamlKeys(reflect.TypeFor[strategyKeys]()))
}

// UnmarshalYAML takes a mapping, or a name.
func (f *serverFile) UnmarshalYAML(n ast.Node) (err error) {
	if f.params, err = readNamed(n, "strategy.server", &f.serverKeys, &f.Name); err != nil {
		return err
	}
	about, ok := strategy.Registry{}.AboutServer(f.Name)
	if !ok {
		return nil
	}
	return onlyParams(n, "strategy.server", about, yamlKeys(reflect.TypeFor[serverKeys]()))
}

// readNamed reads a mapping into a struct of keys, and returns what else it has as
// parameters; a text is the name alone.
func readNamed(n ast.Node, path string, keys any, name *string) (strategy.Settings, error) {
	items, ok := itemsOf(n)
	if !ok {
		v, err := plain(n)
		text, _ := v.(string)
		if *name = text; err != nil || text == "" {
			return nil, placed(n, "%s: want a name, or a mapping with the key name", path)
		}
		return nil, nil
	}
	known, params := yamlKeys(reflect.TypeOf(keys).Elem()), strategy.Settings{}
	var own []*ast.MappingValueNode
	for _, v := range items {
		key := v.Key.GetToken().Value
		if _, ok := known[key]; ok {
			own = append(own, v)
			continue
		}
		if _, twice := params[key]; twice {
			return nil, placed(v.Key, "key %q stands twice", key)
		}
		var err error
		if params[key], err = paramValue(v.Value, path+"."+key); err != nil {
			return nil, err
		}
	}
	mapping := ast.Mapping(n.GetToken(), false, own...)
	c := keyChecker{}
	if c.check(mapping, reflect.TypeOf(keys).Elem(), path); len(c.errs) > 0 {
		return nil, c.errs[0]
	}
	return params, yaml.NodeToValue(mapping, keys, yaml.Strict())
}

// itemsOf are those of a mapping.
func itemsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// paramValue is the value of a parameter.
func paramValue(n ast.Node, path string) (any, error) {
	v, err := plain(n)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case json.Number:
		if x, err := v.Float64(); err == nil {
			return x, nil
		}
		return nil, placed(n, "%s: %s is beyond the range of the key", path, v)
	case string, bool:
		return v, nil
	}
	return nil, placed(n, "%s: want a number or a text", path)
}

// onlyParams refuses a key that is neither of the mapping's own nor a parameter.
func onlyParams(n ast.Node, path string, about strategy.About, keys map[string]reflect.Type) error {
	var params []string
	for _, p := range about.Params {
		params, keys[p.Name] = append(params, p.Name), nil
	}
	items, _ := itemsOf(n)
	for _, v := range items {
		key := v.Key.GetToken().Value
		if _, ok := keys[key]; ok {
			continue
		}
		has := "has no parameters"
		if len(params) > 0 {
			has = "has the parameters " + strings.Join(params, ", ")
		}
		if best := near.Of(key, slices.Collect(maps.Keys(keys))); best != "" {
			has += fmt.Sprintf("; did you mean %q?", best)
		}
		return placed(v.Key, "unknown key %q in %s: %s %s", key, path, about.Name, has)
	}
	return nil
}
