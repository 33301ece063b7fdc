package layers

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of the module whose rules these are.
const Module = "github.com/fedmq/fedmq"

// Violation is one import that the rules do not have.
type Violation struct {
	File   string // below the module's root, with the line: "site/run.go:12"
	Import string
	Rule   string // the rule it breaks, in words
}

// String names the file, the import and the rule.
func (v Violation) String() string {
	return fmt.Sprintf("%s: imports %s: %s", v.File, v.Import, v.Rule)
}

// Check parses the imports of all Go files below the module's root, and
// returns what breaks a rule. Directories that the go command ignores are
// left out, as are nested modules.
func Check(root fs.FS) ([]Violation, error) {
	var all []Violation
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if ignored(root, p) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(p, ".go"):
			return nil
		}
		found, err := checkFile(root, p)
		all = append(all, found...)
		return err
	})
	return all, err
}

func ignored(root fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(root, dir+"/go.mod")
	return err == nil
}

func checkFile(root fs.FS, p string) ([]Violation, error) {
	src, err := fs.ReadFile(root, p)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, p, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	pkg, test := path.Dir(p), strings.HasSuffix(p, "_test.go")
	from, known := layerOf(pkg)
	if !known {
		return []Violation{{File: p, Import: "anything", Rule: "package " + pkg + " has no line in internal/layers/tables_test.go"}}, nil
	}
	var found []Violation
	for _, spec := range file.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if rule := broken(from, test, imp); rule != "" {
			at := fmt.Sprintf("%s:%d", p, set.Position(spec.Pos()).Line)
			found = append(found, Violation{File: at, Import: imp, Rule: rule})
		}
	}
	return found, nil
}

// layerOf finds the layer of a package: the longest name in the table that is
// the package or above it.
func layerOf(pkg string) (string, bool) {
	for name := pkg; ; name = path.Dir(name) {
		if _, ok := layers[name]; ok {
			return name, true
		}
		if !strings.Contains(name, "/") {
			return "", false
		}
	}
}

// broken returns the rule that the import breaks, or "".
func broken(from string, test bool, imp string) string {
	if imp == Module {
		return "package fedmq is documentation; nobody imports it"
	}
	if inner, ok := strings.CutPrefix(imp, Module+"/"); ok {
		return brokenInside(from, test, inner)
	}
	if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
		return brokenLibrary(from, test, imp)
	}
	if !test && layers[from].pure && slices.ContainsFunc(impure, func(s string) bool { return within(imp, s) }) {
		return from + " is a pure machine: no time, sync, context, log, network, files or randomness"
	}
	return ""
}

// brokenInside judges an import of a package of this module. Tests may reach
// further down for what they compare with, never across the walls.
func brokenInside(from string, test bool, imp string) string {
	to, known := layerOf(imp)
	switch {
	case !known:
		return "package " + imp + " has no line in internal/layers/tables_test.go"
	case to == from:
		return ""
	case to == "cmd" || to == "examples" && from != "cmd":
		return "nobody imports cmd, and only cmd imports examples"
	case from == "site" && to == "aggregator", from == "aggregator" && to == "site":
		return "site and aggregator never import each other"
	case from == "examples" && strings.HasPrefix(imp, "internal/"):
		return "examples import public packages only"
	case test || allowed(layers[from].imports, to):
		return ""
	}
	return from + " may import only: " + list(layers[from].imports)
}

func brokenLibrary(from string, test bool, imp string) string {
	for _, l := range libraries {
		if !within(imp, l.path) {
			continue
		}
		if test || allowed(l.owners, from) {
			return ""
		}
		return l.path + " belongs to: " + list(l.owners)
	}
	return "library has no line in internal/layers/tables_test.go"
}

// allowed reports whether name is in the list, where "x/..." stands for all
// below x, and "..." for all.
func allowed(names []string, name string) bool {
	return slices.ContainsFunc(names, func(s string) bool {
		if prefix, ok := strings.CutSuffix(s, "..."); ok {
			return strings.HasPrefix(name, prefix)
		}
		return s == name
	})
}

// within reports whether imp is the package s or below it.
func within(imp, s string) bool {
	return imp == s || strings.HasPrefix(imp, s+"/")
}

func list(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}
