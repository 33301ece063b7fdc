package main

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// scalar keeps a text as it is written, where the library makes 8 of the text
// 010, and refuses a number that it would round or that readers take for
// different ones.
func (c *keyChecker) scalar(n ast.ScalarNode, t reflect.Type, path string) ast.Node {
	text := n.GetToken().Value
	refuse := func(format string, args ...any) ast.Node {
		c.errs = append(c.errs, positioned(c.file, placed(n, format, args...)))
		return n
	}
	if _, null := n.(*ast.NullNode); null {
		if hasOwnReader(t) {
			return n // it says what it wants
		}
		return refuse("%s has no value: want %s, or leave the line out", strings.TrimPrefix(path, "."), kindOf(t))
	}
	switch {
	case t.Kind() == reflect.Interface:
		return asText(n)
	case t.Kind() == reflect.String && text == "" && !emptyIsValue[leaf(path)]:
		return refuse("%s is empty: write a value, or leave the line out", leaf(path))
	case t.Kind() == reflect.String && strings.HasPrefix(text, "~/"):
		return refuse("%s: ~ stands for the home directory in a shell only: write the whole path", text)
	case t.Kind() == reflect.String:
		return asText(n)
	case t == reflect.TypeFor[time.Duration]():
		if _, err := time.ParseDuration(text); err != nil && !isAlias(n) {
			return refuse("want %s, not %s", kindOf(t), text)
		}
	case !whole(t) && t.Kind() != reflect.Float64 || isAlias(n):
		return n
	case whole(t) && isFloat(n):
		return refuse("want %s, not %s", kindOf(t), text)
	}
	if write := ambiguous(text); write != "" {
		return refuse("%s may be read as more than one number: write %s", text, write)
	}
	if zero(text) && zeroIsNone[leaf(path)] {
		return refuse("%s: %s would be taken for the default: write another number, or leave the line out", leaf(path), text)
	}
	return n
}

// emptyIsValue are the keys whose empty text says something: the namespace's own
// node, an argument of a command.
var emptyIsValue = map[string]bool{"owner": true, "path": true, "command[]": true}

// zeroIsNone are the keys whose default a zero would stand for, without being
// one of their values.
var zeroIsNone = map[string]bool{
	"part_size": true, "stage_memory": true, "uploads": true,
	"start_when": true, "quorum": true, "goal": true, "deadline": true, "sample": true, "max_samples": true, "cap": true, "cap_factor": true, "slots": true, "keep_models": true, "patience": true,
	"every": true, "stride": true, "scale": true, "share": true, "slog": true, "start": true, "epochs": true, "lr_factor": true,
}

// indices of lists in the path of a key.
var indices = regexp.MustCompile(`\[[0-9]+\]`)

// leaf is the last key of a path.
func leaf(path string) string {
	path = indices.ReplaceAllString(path, "[]")
	return path[strings.LastIndex(path, ".")+1:]
}

func zero(text string) bool {
	if d, err := time.ParseDuration(text); err == nil {
		return d == 0
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && f == 0
}

// hasOwnReader reports that a type reads its nodes itself.
func hasOwnReader(t reflect.Type) bool { return reflect.PointerTo(t).Implements(nodeUnmarshaler) }

func isAlias(n ast.Node) bool { _, ok := n.(*ast.AliasNode); return ok }

func isFloat(n ast.Node) bool { _, ok := n.(*ast.FloatNode); return ok }

// asText returns a scalar, or a key, as a text with the letters of the file.
func asText[N ast.Node](n N) N {
	switch any(n).(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		text := ast.String(n.GetToken())
		text.Value = strings.TrimSpace(n.GetToken().Origin)
		if same, ok := any(text).(N); ok {
			return same
		}
	}
	return n
}

var (
	// leadingZeros stand before the first digit that counts: 010, -08, 00.5, 010s.
	leadingZeros = regexp.MustCompile(`^([-+]?)0+([0-9].*)$`)
	// gaps stand between digits: 1_000.
	gaps = regexp.MustCompile(`^[-+]?(0x|0o|0b)?[0-9a-fA-F.][0-9a-fA-F_.eE+-]*$`)
)

// ambiguous returns what to write instead of a number that YAML 1.1, YAML 1.2
// and people read differently; "" if it is plain.
func ambiguous(text string) string {
	plain := text
	if strings.ContainsRune(plain, '_') && gaps.MatchString(plain) {
		plain = strings.ReplaceAll(plain, "_", "")
	}
	if m := leadingZeros.FindStringSubmatch(plain); m != nil {
		plain = m[1] + m[2]
	}
	if plain == text {
		return ""
	}
	return plain
}

// quoted reports that a scalar stands in quotes, or as a block: its author has
// said that it is a text.
func quoted(n *ast.StringNode) bool { return n.Token.Type != token.StringType }
