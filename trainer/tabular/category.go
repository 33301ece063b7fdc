package tabular

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
)

// categories are the texts of a feature; nil if it has numbers.
func (f *Feature) categories(key string) ([]string, error) {
	var list []any
	switch v := f.Categories.(type) {
	case nil:
		return nil, nil
	case []any:
		list = v
	case []string:
		for _, s := range v {
			list = append(list, s)
		}
	case string:
		if v == "auto" {
			return nil, bad(key, "auto cannot be: how many inputs the model has is said before a site is asked; list the texts of all sites, as fedmq init --csv does")
		}
		return nil, bad(key, "want a list of texts, as in [A, B, C], not %q", v)
	default:
		return nil, bad(key, "want a list of texts, as in [A, B, C], not %T", v)
	}
	if len(list) == 0 || len(list) > pipeline.MaxValues {
		return nil, bad(key, "want 1 to %d texts, not %d", pipeline.MaxValues, len(list))
	}
	var texts []string
	for i, v := range list {
		text, err := textOf(fmt.Sprintf("%s[%d]", key, i), v)
		if err != nil {
			return nil, err
		}
		if text = strings.TrimSpace(text); text == "" {
			return nil, bad(fmt.Sprintf("%s[%d]", key, i), "is empty: an empty cell is missing")
		}
		if slices.Contains(texts, text) {
			return nil, bad(fmt.Sprintf("%s[%d]", key, i), "%q is there twice", text)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// input reads cell column of the current row, which is input i of the contract.
func (l *loader) input(t rows, i, column int) (float64, error) {
	in := &l.pipe.Contract().Inputs[i]
	if in.Values == nil {
		return l.converted(t, in.Name, column)
	}
	text := l.columns[in.Name].Text(t.Text(column))
	v := l.pipe.Value(i, text)
	if math.IsNaN(v) && !t.Missing(text) {
		if l.unknown == nil {
			l.unknown = map[string]map[string]int{}
		}
		of := l.unknown[in.Name]
		if of == nil {
			of = map[string]int{}
			l.unknown[in.Name] = of
		}
		if _, met := of[text]; met || len(of) < maxUnknown {
			of[strings.Clone(text)]++
		} else {
			of[""]++ // the others
		}
	}
	return v, nil
}

// textsOf are those of an input.
func (l *loader) textsOf(name string) []string {
	for _, in := range l.pipe.Contract().Inputs {
		if in.Name == name {
			return in.Values
		}
	}
	return nil
}

// maxUnknown texts of a column are told apart, and shownUnknown of them named.
const maxUnknown, shownUnknown = 1000, 5

// unknownNotes say which texts are none of the categories, the most frequent first.
func (l *loader) unknownNotes() (notes []string) {
	for _, name := range slices.Sorted(maps.Keys(l.unknown)) {
		of := l.unknown[name]
		texts := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
		texts = slices.DeleteFunc(texts, func(s string) bool { return s == "" })
		total, named, cure := 0, make([]string, 0, shownUnknown), ""
		for _, n := range of {
			total += n
		}
		for _, text := range texts[:min(len(texts), shownUnknown)] {
			named = append(named, fmt.Sprintf("%.40q (%d)", text, of[text]))
			for _, pair := range table.Alike(append([]string{text}, l.textsOf(name)...)) {
				if pair[0] == text {
					cure = fmt.Sprintf("; if %q is %q: columns: {%s: {values: {%[1]q: %[2]q}}}", text, pair[1], name)
				}
			}
		}
		if len(texts) > shownUnknown {
			named = append(named, "and others")
		}
		notes = append(notes, fmt.Sprintf("features: %d cells of %q are none of its categories, and count as missing: %s%s", total, name, strings.Join(named, ", "), cure))
	}
	return notes
}
