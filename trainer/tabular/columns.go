package tabular

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
)

// Column says where a site's files have an input or the target of the model.
type Column struct {
	Name string // of the file's column; "": as the model has it
	Unit string // of the file; "": not said
	To   string // that the model reads; "": Unit

	Values map[string]string // a text of the file, and what the model has for it
}

// Text is what the model has for a text of the file.
func (c Column) Text(cell string) string {
	if v, ok := c.Values[cell]; ok {
		return v
	}
	return cell
}

// Sources is where the files have what the model reads, by the name that the model has.
func (c *Config) Sources() (map[string]Column, error) { return c.columns() }

// columns reads Config.Columns: by the name that the model has, the name of a column
// or {column, unit, to, values}.
func (c *Config) columns() (map[string]Column, error) {
	out := map[string]Column{}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		key := "columns." + name
		col := Column{}
		switch v := c.Columns[name].(type) {
		case Column:
			col = v
		case map[string]any:
			var err error
			if col, err = columnOf(key, v); err != nil {
				return nil, err
			}
		default:
			text, err := textOf(key, v)
			if err != nil {
				return nil, err
			}
			col.Name = text
		}
		if col.To != "" && col.Unit == "" {
			return nil, bad(key+".to", "wants unit beside it: what the file has")
		}
		if _, err := col.conversion(); err != nil {
			return nil, bad(key+".to", "%v", err)
		}
		out[name] = col
	}
	return out, c.checkColumns(out)
}

// columnOf reads {column, unit, to, values}.
func columnOf(key string, v map[string]any) (c Column, err error) {
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if k == "values" {
			if c.Values, err = valuesOf(key+".values", v[k]); err != nil {
				return c, err
			}
			continue
		}
		text, err := textOf(key+"."+k, v[k])
		if err != nil {
			return c, err
		}
		switch k {
		case "column":
			c.Name = text
		case "unit":
			c.Unit = text
		case "to":
			c.To = text
		default:
			return c, bad(key+"."+k, "unknown, want column, unit, to or values")
		}
	}
	return c, nil
}

func valuesOf(key string, v any) (map[string]string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, bad(key, "want a text of the file and the model's for it, as in {i.O.: ok}")
	}
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		text, err := textOf(key+"."+k, m[k])
		if err != nil {
			return nil, err
		}
		out[strings.TrimSpace(k)] = strings.TrimSpace(text)
	}
	return out, nil
}

// texts are those of the model by the column that has them, nil for one of numbers.
func (c *Config) texts() (map[string][]string, error) {
	out := map[string][]string{}
	for _, f := range c.Features {
		texts, err := f.categories("categories")
		if err != nil {
			return nil, err
		}
		for _, name := range f.Columns {
			out[name] = texts
		}
	}
	if c.Target.Classes != nil {
		out[c.Target.Column] = c.Target.contract().Classes
	}
	return out, nil
}

// checkColumns refuses a name that nothing uses, units of what is no number, and values
// that the model does not have.
func (c *Config) checkColumns(columns map[string]Column) error {
	texts, err := c.texts()
	if err != nil {
		return err
	}
	used := map[string]bool{c.Target.Column: true}
	for name := range texts {
		used[name] = true
	}
	for _, m := range []map[string]any{c.Where, c.TestWhere} {
		for name := range m {
			used[name] = true
		}
	}
	if c.Split != nil {
		used[c.Split.Column] = true
	}
	if c.Derive != nil {
		for _, name := range append(slices.Clone(c.Derive.Group), c.Derive.Order) {
			used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		switch {
		case !used[name]:
			return bad("columns."+name, "is no feature, target or other column of this trainer: want the name that the model has, then that of the file, as in {flow: FLOW_M3H}")
		case columns[name].Unit != "" && texts[name] != nil:
			return bad("columns."+name+".unit", "its cells are texts, which have no unit")
		}
		for _, text := range slices.Sorted(maps.Values(columns[name].Values)) {
			switch {
			case texts[name] == nil:
				return bad("columns."+name+".values", "are for texts that the model knows: classes of the target, categories of a feature")
			case !slices.Contains(texts[name], text):
				return bad("columns."+name+".values", "%q is none of the model's texts for it, %.300q", text, texts[name])
			}
		}
	}
	return nil
}

// unit is what the model reads.
func (c Column) unit() string {
	if c.To != "" {
		return pipeline.CanonicalUnit(c.To)
	}
	return pipeline.CanonicalUnit(c.Unit)
}

func (c Column) conversion() (pipeline.Conversion, error) {
	return pipeline.NewConversion(c.Unit, c.unit())
}

// fileColumn is what the files call a column, and how the keys name it in an error.
func (l *loader) fileColumn(key, name string) (file, keys string) {
	if c := l.columns[name]; c.Name != "" {
		return c.Name, fmt.Sprintf("%s, columns.%s", key, name)
	}
	return name, key
}

// converted reads a number in the unit of the model.
func (l *loader) converted(t rows, name string, column int) (float64, error) {
	v, err := t.measured(column)
	if c, ok := l.columns[name]; ok && err == nil && c.To != "" {
		conversion, err := c.conversion()
		return conversion.Apply(v), err
	}
	return v, err
}
