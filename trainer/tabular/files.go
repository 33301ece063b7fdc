package tabular

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/fedmq/fedmq/internal/table"
)

// Files is where the files of a Config are: Dir or FS.
type Files = table.Files

// Dir is regular files relative to a directory on disk; absolute names are taken as
// they are.
func Dir(dir string) Files { return table.Dir(dir) }

// FS is the files of fsys.
func FS(fsys fs.FS) Files { return table.FS(fsys) }

// format is how the files are written, as far as the configuration says.
func (c *Config) format() table.Format {
	return table.Format{Separator: c.Separator, Decimal: c.Decimal, Encoding: c.Encoding, Comment: c.Comment, Missing: c.Missing, Numbers: c.Target.none}
}

func (c *Config) validateFormat() error {
	err := c.format().Validate()
	if key, ok := errors.AsType[*table.KeyError](err); ok {
		return bad(key.Key, "%s", key.Problem)
	}
	return err
}

// rows is a table that is read row by row. Its errors say whose they are.
type rows struct{ *table.Table }

func openTable(files Files, name string, f table.Format) (rows, error) {
	t, err := table.Open(files, name, f)
	return rows{t}, ours(err)
}

func ours(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tabular: %w", err)
}

func (t rows) next() (bool, error) {
	ok, err := t.Next()
	return ok, ours(err)
}

func (t rows) column(key, name string) (int, error) {
	i, err := t.Column(key, name)
	return i, ours(err)
}

func (t rows) measured(i int) (float64, error) {
	v, err := t.Measured(i)
	return v, ours(err)
}

func (t rows) order(i int) (float64, error) {
	v, err := t.Order(i)
	return v, ours(err)
}

// matches reports whether the current row meets all conditions; columns holds
// the position of each.
func (t rows) matches(conditions []condition, columns []int) bool {
	for i, c := range conditions {
		if !c.keeps(t.Text(columns[i])) {
			return false
		}
	}
	return true
}

// found is what a name of the configuration stood for.
type found struct {
	pattern string
	names   []string
}

// expand lists the files that train or test names.
func (l *loader) expand(key, pattern string) ([]string, error) {
	names, err := table.Expand(l.files, pattern)
	if err != nil {
		return nil, fmt.Errorf("tabular: %s: %w", key, err)
	}
	l.found = append(l.found, found{pattern, names})
	return names, nil
}

// same reports whether a name stands for the same files as before.
func (f found) same(files Files) bool {
	names, err := table.Expand(files, f.pattern)
	return err == nil && slices.Equal(names, f.names)
}
