package crashtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHowTo: every test that docs/howto/restart.md and docs/ref/reliability.md
// name exists.
func TestHowTo(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/howto/restart.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	root := os.DirFS("../..")
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				there[filepath.Base(filepath.Dir(name))+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	figures, err := os.ReadFile("../../docs/ref/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	page = append(page, figures...)
	named := regexp.MustCompile(`[a-z]+\.Test\w+`).FindAllString(string(page), -1)
	for _, test := range named {
		if !there[test] {
			t.Errorf("%s is named, and is not there", test)
		}
	}
	if len(named) < 20 {
		t.Errorf("%d tests are named", len(named))
	}
}
