package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/fedmq/fedmq/"
)

// source is what the Go files of a package say and reflection does not.
type source struct {
	fields map[string]map[string]string // struct, field: its comment
	words  map[string][]any             // named string type: its constants
	consts map[string]string            // constants that are strings, by name
}

// sourceOf reads the package at a path below the module.
func sourceOf(t *testing.T, path string) source {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, path, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", path, err)
	}
	s := source{map[string]map[string]string{}, map[string][]any{}, map[string]string{}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				s.read(spec)
			}
		}
	}
	return s
}

func (s source) read(spec ast.Spec) {
	switch x := spec.(type) {
	case *ast.ValueSpec:
		s.readConst(x)
	case *ast.TypeSpec:
		st, ok := x.Type.(*ast.StructType)
		if !ok {
			return
		}
		s.fields[x.Name.Name] = map[string]string{}
		for _, f := range st.Fields.List {
			for _, n := range f.Names {
				s.fields[x.Name.Name][n.Name] = strings.Join(strings.Fields(f.Comment.Text()), " ")
			}
		}
	}
}

func (s source) readConst(x *ast.ValueSpec) {
	for i, v := range x.Values {
		lit, ok := v.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			continue
		}
		s.consts[x.Names[i].Name] = text
		if typ, ok := x.Type.(*ast.Ident); ok {
			s.words[typ.Name] = append(s.words[typ.Name], text)
		}
	}
}

func pathOf(t reflect.Type) string { return strings.TrimPrefix(t.PkgPath(), module) }

// wordsOf lists the constants of a named string type.
func wordsOf(t *testing.T, typ reflect.Type) []any {
	t.Helper()
	words := slices.Clone(sourceOf(t, pathOf(typ)).words[typ.Name()])
	if len(words) == 0 {
		t.Fatalf("%s has no constants", typ)
	}
	return words
}

// prefixed lists the string constants of a package whose names begin so.
func prefixed(t *testing.T, path, prefix string) (words []string) {
	t.Helper()
	for name, text := range sourceOf(t, path).consts {
		if strings.HasPrefix(name, prefix) {
			words = append(words, text)
		}
	}
	slices.Sort(words)
	return words
}
