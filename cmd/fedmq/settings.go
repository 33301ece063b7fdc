package main

import (
	"encoding/json"
	"regexp"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// settings is a YAML mapping that is passed on as JSON, without a schema of
// its own: the trainer at the other end knows the keys.
type settings struct{ json json.RawMessage }

// UnmarshalYAML keeps numbers as they are written: the library takes 1e-4,
// which YAML 1.2 calls a number, for a string.
func (s *settings) UnmarshalYAML(n ast.Node) error {
	v, err := plain(n)
	if err != nil {
		return err
	}
	if _, ok := v.(map[string]any); !ok {
		return placed(n, "want a mapping of settings")
	}
	s.json, err = json.Marshal(v)
	return err
}

// yamlNumber is the core schema's number (YAML 1.2.2 section 10.3.2) in JSON's
// spelling.
var yamlNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// plain turns a node into what encoding/json writes.
func plain(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return plainMap(n.Values)
	case *ast.MappingValueNode:
		return plainMap([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, v := range n.Values {
			var err error
			if list[i], err = plain(v); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *ast.StringNode:
		if n.Token.Type == token.StringType && yamlNumber.MatchString(n.Value) {
			return json.Number(n.Value), nil
		}
		return n.Value, nil
	case *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.IntegerNode:
		return n.Value, nil
	case *ast.FloatNode:
		if yamlNumber.MatchString(n.Token.Value) {
			return json.Number(n.Token.Value), nil
		}
		return n.Value, nil
	}
	return nil, placed(n, "%s is no value for a setting", n.Type())
}

func plainMap(values []*ast.MappingValueNode) (any, error) {
	m := make(map[string]any, len(values))
	for _, v := range values {
		key := v.Key.GetToken().Value
		if _, ok := m[key]; ok {
			return nil, placed(v.Key, "key %q stands twice", key)
		}
		var err error
		if m[key], err = plain(v.Value); err != nil {
			return nil, err
		}
	}
	return m, nil
}
