package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
)

// docs/ref/reasons.md has every word of the code, and no other.
func TestReasons(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(root, "docs/ref/reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	var refusals, verdicts []string
	for _, r := range verdict.All() {
		if r.Refusal() {
			refusals = append(refusals, r.String())
		} else {
			verdicts = append(verdicts, r.String())
		}
	}
	for _, r := range prefixed(t, "wire", "Reason") {
		if !slices.Contains(refusals, r) {
			t.Errorf("package wire refuses with %q, which is no verdict", r)
		}
	}
	want := map[string][]string{
		"Refusals":           refusals,
		"Verdicts":           verdicts,
		"Declines":           prefixed(t, "wire", "Decline"),
		"Errors of a site":   append(siteErrors(t, "site"), siteErrors(t, "internal/member")...),
		"Events":             append(texts(wordsOf(t, reflect.TypeFor[round.FactKind]())), "summary"),
		"Ends of an attempt": texts(wordsOf(t, reflect.TypeFor[round.Close]())),
		"Halts":              append(prefixed(t, "internal/round", "reason"), "paused", "stopped", "finished"),
	}
	got := firstColumns(string(b))
	for _, list := range want {
		slices.Sort(list)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- in the code, + on the page:\n%s", diff)
	}
}

func texts(list []any) (out []string) {
	for _, x := range list {
		out = append(out, x.(string))
	}
	return out
}

// firstColumns returns the words in the first columns of a page's tables, by
// heading.
func firstColumns(page string) map[string][]string {
	cell := regexp.MustCompile("^\\| `([^`]+)` \\|")
	cols, section := map[string][]string{}, ""
	for line := range strings.Lines(page) {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(h)
		}
		if m := cell.FindStringSubmatch(line); m != nil {
			cols[section] = append(cols[section], m[1])
		}
	}
	for _, list := range cols {
		slices.Sort(list)
	}
	return cols
}

// siteErrors lists what a package assigns to a trouble, directly, as text or by showTrouble,
// with "..." for what differs.
func siteErrors(t *testing.T, path string) (found []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, path, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		add := func(e ast.Expr) {
			if text := rendered(e); strings.Trim(text, ".") != "" && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr:
				if f, ok := x.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "showTrouble" {
					add(x.Args[1])
				}
			case *ast.AssignStmt:
				for i, l := range x.Lhs {
					if x.Tok != token.ADD_ASSIGN && len(x.Lhs) == len(x.Rhs) && isTrouble(l) {
						add(x.Rhs[i])
					}
				}
			}
			return true
		})
	}
	return found
}

func isTrouble(l ast.Expr) bool {
	switch x := l.(type) {
	case *ast.SelectorExpr:
		return x.Sel.Name == "trouble"
	case *ast.Ident:
		return x.Name == "text"
	}
	return false
}

var formatVerb = regexp.MustCompile("%[a-z]")

// rendered is a string expression with "..." for what is not a literal.
func rendered(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		if err != nil {
			return "..."
		}
		return formatVerb.ReplaceAllString(s, "...")
	case *ast.BinaryExpr:
		return rendered(x.X) + rendered(x.Y)
	case *ast.CallExpr:
		if f, ok := x.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			return rendered(x.Args[0])
		}
	}
	return "..."
}
