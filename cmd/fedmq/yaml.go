package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/internal/textfile"
)

// maxConfig bounds a configuration file in bytes.
const maxConfig = 1 << 20

// loadYAML reads the file at path into dst, a pointer to a struct whose fields
// carry yaml tags. Every key must be known: an unknown one is an error that
// names file, line, column and the nearest key that would have been right.
func loadYAML(path string, dst any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(b) > maxConfig {
		return fmt.Errorf("%s: %d bytes, a configuration may have %d", path, len(b), maxConfig)
	}
	return decodeYAML(path, b, dst)
}

func decodeYAML(name string, b []byte, dst any) error {
	b, err := textfile.Decode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return positioned(name, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return fmt.Errorf("%s: want one YAML document, found %d", name, documents(file))
	}
	c := keyChecker{file: name}
	c.check(file.Docs[0].Body, reflect.TypeOf(dst).Elem(), "")
	if len(c.errs) > 0 {
		return errors.Join(c.errs...)
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, dst, yaml.Strict()); err != nil {
		return positioned(name, err)
	}
	return nil
}

func documents(f *ast.File) int {
	n := 0
	for _, d := range f.Docs {
		if d.Body != nil {
			n++
		}
	}
	return n
}

// placedError is a problem at a place in a configuration file.
type placedError struct {
	at      *token.Position
	problem string
}

func (e *placedError) Error() string { return e.problem }

func placed(n ast.Node, format string, args ...any) error {
	return &placedError{n.GetToken().Position, fmt.Sprintf(format, args...)}
}

// positioned turns an error of the decoder into "file:line:column: message".
func positioned(file string, err error) error {
	var pe *placedError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s:%d:%d: %w", file, pe.at.Line, pe.at.Column, pe)
	}
	var te *yaml.TypeError
	if errors.As(err, &te) && te.Token != nil {
		p := te.Token.Position
		return fmt.Errorf("%s:%d:%d: want %s, not %s", file, p.Line, p.Column, kindOf(te.DstType), te.Token.Value)
	}
	var oe *yaml.OverflowError
	if errors.As(err, &oe) && oe.Token != nil {
		p := oe.Token.Position
		return fmt.Errorf("%s:%d:%d: %s is beyond the range of the key", file, p.Line, p.Column, oe.SrcNum)
	}
	var ye yaml.Error
	if !errors.As(err, &ye) || ye.GetToken() == nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	p := ye.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", file, p.Line, p.Column, ye.GetMessage())
}

// kindOf names what a value of type t looks like in YAML.
func kindOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration such as 90s or 5m"
	}
	if whole(t) {
		return "a whole number"
	}
	switch t.Kind() {
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list"
	case reflect.Interface:
		return "a value or a list of values"
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	return "a mapping"
}

// nodeUnmarshaler is what types with keys of their own implement.
var nodeUnmarshaler = reflect.TypeFor[yaml.NodeUnmarshaler]()

// keyChecker walks a document beside the type it is to be decoded into.
type keyChecker struct {
	file string
	errs []error
}

// check returns the node to decode: n, or what it stands for where the library
// reads a scalar otherwise than it is written.
func (c *keyChecker) check(n ast.Node, t reflect.Type, path string) ast.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		c.mapping(n.Values, t, path)
	case *ast.MappingValueNode:
		c.mapping([]*ast.MappingValueNode{n}, t, path)
	case *ast.AnchorNode:
		n.Value = c.check(n.Value, t, path)
	case *ast.TagNode:
		n.Value = c.check(n.Value, t, path)
	case *ast.SequenceNode:
		if of, ok := itemOf(t); ok {
			for i, v := range n.Values {
				n.Values[i] = c.check(v, of, fmt.Sprintf("%s[%d]", path, i))
			}
		}
	case ast.ScalarNode:
		return c.scalar(n, t, path)
	}
	return n
}

// itemOf is the type of the items of a list; those of a value of any type are
// such values.
func itemOf(t reflect.Type) (reflect.Type, bool) {
	switch t.Kind() {
	case reflect.Slice:
		return t.Elem(), true
	case reflect.Interface:
		return t, true
	}
	return nil, false
}

func whole(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return true
	}
	return false
}

func (c *keyChecker) mapping(values []*ast.MappingValueNode, t reflect.Type, path string) {
	if t.Kind() == reflect.Map || t.Kind() == reflect.Interface {
		of := t
		if t.Kind() == reflect.Map {
			of = t.Elem()
		}
		for _, v := range values {
			v.Key = asText(v.Key)
			v.Value = c.check(v.Value, of, path+"."+v.Key.GetToken().Value)
		}
		return
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(nodeUnmarshaler) {
		return // the decoder says what was wanted
	}
	known := yamlKeys(t)
	for _, v := range values {
		tok := v.Key.GetToken()
		ft, ok := known[tok.Value]
		if !ok {
			c.errs = append(c.errs, unknownKey(c.file, tok.Position.Line, tok.Position.Column, path, tok.Value, known))
			continue
		}
		v.Value = c.check(v.Value, ft, strings.TrimPrefix(path+"."+tok.Value, "."))
	}
}

func unknownKey(file string, line, col int, path, key string, known map[string]reflect.Type) error {
	in := ""
	if path != "" {
		in = " in " + strings.TrimPrefix(path, ".")
	}
	if best := near.Of(key, slices.Collect(maps.Keys(known))); best != "" {
		return fmt.Errorf("%s:%d:%d: unknown key %q%s; did you mean %q?", file, line, col, key, in, best)
	}
	return fmt.Errorf("%s:%d:%d: unknown key %q%s", file, line, col, key, in)
}

// yamlKeys lists the keys of a struct, those of inlined structs included.
func yamlKeys(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if strings.Contains(opts, "inline") {
			for k, v := range yamlKeys(f.Type) {
				keys[k] = v
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		keys[name] = f.Type
	}
	return keys
}
