package main

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// settings is a YAML mapping that is passed on as JSON, without a schema of
// its own: the trainer at the other end knows the keys.
type settings struct {
	json json.RawMessage
	keys map[string]*token.Position
}

// UnmarshalYAML reads numbers as YAML 1.2 does, and keeps their digits: the
// library takes 1e-4 for a text, and 010 for 8.
func (s *settings) UnmarshalYAML(n ast.Node) error {
	v, err := plain(n)
	if err != nil {
		return err
	}
	if _, ok := v.(map[string]any); !ok {
		return placed(n, "want a mapping of settings")
	}
	s.json, err = json.Marshal(v)
	s.keys = map[string]*token.Position{}
	for _, key := range keysOf(n) {
		s.keys[key.GetToken().Value] = key.GetToken().Position
	}
	return err
}

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
		if quoted(n) {
			return n.Value, nil
		}
		return plainText(n)
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode:
		return plainText(n)
	case *ast.NullNode:
		if n.Token.Type == token.ImplicitNullType {
			return nil, placed(n, "a setting has no value: write one, or null where the trainer takes it, or leave the line out")
		}
		return nil, nil
	case *ast.BoolNode:
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

// The numbers of YAML's core schema (YAML 1.2.2 section 10.3.2), and what looks
// like one with gaps between its digits.
var (
	decimal  = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	prefixed = regexp.MustCompile(`^0(x[0-9a-fA-F]+|o[0-7]+)$`)
	gapped   = regexp.MustCompile(`^[-+]?(0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)$`)
)

// plainText is what an unquoted scalar means: a number, or else a text.
func plainText(n ast.Node) (any, error) {
	text := n.GetToken().Value
	if gapped.MatchString(text) {
		if write := ambiguous(text); write != "" {
			return nil, placed(n, "%s may be read as more than one number, or as a text: write %s, or %q", text, write, text)
		}
	}
	switch {
	case prefixed.MatchString(text):
		if v, ok := new(big.Int).SetString(text, 0); ok {
			return json.Number(v.String()), nil
		}
	case decimal.MatchString(text):
		return jsonNumber(text), nil
	}
	return text, nil
}

// jsonNumber spells a decimal number as JSON has it; its digits stay.
func jsonNumber(text string) json.Number {
	text = strings.TrimPrefix(text, "+")
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	before, after, point := strings.Cut(text, ".")
	if before == "" {
		before = "0"
	}
	if !point {
		return json.Number(sign + before)
	}
	if after == "" || after[0] == 'e' || after[0] == 'E' {
		after = "0" + after
	}
	return json.Number(sign + before + "." + after)
}
