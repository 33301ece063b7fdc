package main

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/trainer"
)

// keysOf are the keys of a mapping.
func keysOf(n ast.Node) (keys []ast.MapKeyNode) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			keys = append(keys, v.Key)
		}
	case *ast.MappingValueNode:
		keys = append(keys, n.Key)
	}
	return keys
}

// unknown says which setting is none of those that a trainer knows, if one is
// not; whose names the trainer.
func (s settings) unknown(file, whose string, known []string) error {
	name, nearest := trainer.UnknownSetting(known, s.json)
	if name == "" {
		return nil
	}
	p := s.keys[name]
	if nearest != "" {
		return fmt.Errorf("%s:%d:%d: unknown setting %q; did you mean %q? %s knows %s", file, p.Line, p.Column, name, nearest, whose, strings.Join(known, ", "))
	}
	return fmt.Errorf("%s:%d:%d: unknown setting %q; %s knows %s", file, p.Line, p.Column, name, whose, strings.Join(known, ", "))
}
