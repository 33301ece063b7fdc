package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Stale returns what the tables allow and nobody does: lines of packages that
// are not there, imports and libraries that no file of a layer has, test or not.
// Examples may import all that is public.
func Stale(root fs.FS) ([]string, error) {
	used := map[string]map[string]bool{} // layer, imported layer or library
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && ignored(root, p):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		return note(root, p, used)
	})
	if err != nil {
		return nil, err
	}
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		if used[name] == nil {
			stale = append(stale, "layers: there is no package "+name)
			continue
		}
		for _, to := range layers[name].imports {
			if name != "examples" && !anyOf(used[name], to) {
				stale = append(stale, name+" does not import "+to)
			}
		}
	}
	for _, l := range libraries {
		for _, owner := range l.owners {
			if !used[owner][l.path] {
				stale = append(stale, owner+" does not import "+l.path)
			}
		}
	}
	return stale, nil
}

// note adds what a file imports.
func note(root fs.FS, p string, used map[string]map[string]bool) error {
	src, err := fs.ReadFile(root, p)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), p, src, parser.ImportsOnly)
	if err != nil {
		return err
	}
	from, known := layerOf(path.Dir(p))
	if !known {
		return nil // Check says so
	}
	if used[from] == nil {
		used[from] = map[string]bool{}
	}
	for _, spec := range file.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if inner, ok := strings.CutPrefix(imp, Module+"/"); ok {
			to, _ := layerOf(inner)
			used[from][to] = true
			continue
		}
		for _, l := range libraries {
			if within(imp, l.path) {
				used[from][l.path] = true
			}
		}
	}
	return nil
}

// anyOf reports whether one of the names is what a line of the table allows.
func anyOf(names map[string]bool, line string) bool {
	for name := range names {
		if allowed([]string{line}, name) {
			return true
		}
	}
	return false
}
