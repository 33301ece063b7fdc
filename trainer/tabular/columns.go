package tabular

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/pipeline"
)

// Column says where a site's files have an input or the target of the model.
type Column struct {
	Name string // of the file's column; "": as the model has it
	Unit string // of the file; "": not said
	To   string // that the model reads; "": Unit
}

// columns reads Config.Columns: by the name that the model has, the name of a column
// or {column, unit, to}.
func (c *Config) columns() (map[string]Column, error) {
	out := map[string]Column{}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		key := "columns." + name
		col := Column{}
		switch v := c.Columns[name].(type) {
		case Column:
			col = v
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				text, err := textOf(key+"."+k, v[k])
				if err != nil {
					return nil, err
				}
				switch k {
				case "column":
					col.Name = text
				case "unit":
					col.Unit = text
				case "to":
					col.To = text
				default:
					return nil, bad(key+"."+k, "unknown, want column, unit or to")
				}
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

// checkColumns refuses a name that nothing uses, and units of what is no number.
func (c *Config) checkColumns(columns map[string]Column) error {
	used, texts := map[string]bool{c.Target.Column: true}, map[string]bool{}
	for _, f := range c.Features {
		for _, name := range f.Columns {
			used[name], texts[name] = true, f.Categories != nil
		}
	}
	texts[c.Target.Column] = texts[c.Target.Column] || c.Target.Classes != nil
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
		case columns[name].Unit != "" && texts[name]:
			return bad("columns."+name+".unit", "its cells are texts, which have no unit")
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
	v, err := t.number(column)
	if c, ok := l.columns[name]; ok && err == nil && c.To != "" {
		conversion, err := c.conversion()
		return conversion.Apply(v), err
	}
	return v, err
}
