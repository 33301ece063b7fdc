package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Differences says in the words of the data how the contract of a site differs from
// that of a task, the most telling first; nothing if they are equal. name is the site's.
func Differences(name string, site, task *Contract) []string {
	d := differ{name: name}
	d.inputs(site, task)
	d.features(site, task)
	d.window(site.Window, task.Window)
	if site.ZClip != task.ZClip {
		d.add("limits scaled features with zclip: %v, the model has %v", site.ZClip, task.ZClip)
	}
	if site.Predicts() && !task.Predicts() {
		d.add("has the target %q, and the task gathers statistics and has none: leave out target and features, those of the task are taken", site.Target.Name)
		return d.out
	}
	d.target(site.Target, task.Target)
	if site.Net != task.Net {
		d.add("makes of the tensors (%s), the model (%s)", site.Net, task.Net)
	}
	if len(d.out) == 0 && !site.Equal(task) {
		d.add("has the contract %s, the model %s", site.JSON(), task.JSON())
	}
	return d.out
}

type differ struct {
	name string
	out  []string
}

func (d *differ) add(format string, args ...any) {
	d.out = append(d.out, d.name+" "+fmt.Sprintf(format, args...))
}

func (d *differ) inputs(site, task *Contract) {
	have, want := site.Names(), task.Names()
	if !d.lists("features", "order of features", have, want) {
		return
	}
	for i, in := range site.Inputs { // the same names, maybe in another order
		other := task.Inputs[slices.Index(want, have[i])]
		switch {
		case in.Unit != other.Unit:
			d.add("has %q in %s, the model in %s%s", in.Name, unitName(in.Unit), unitName(other.Unit), unitCure(in, other))
		case (in.Values == nil) != (other.Values == nil):
			d.add("has %q as %s, the model as %s", in.Name, kind(in), kind(other))
		default:
			d.lists(fmt.Sprintf("values of %q", in.Name), fmt.Sprintf("order of values of %q", in.Name), in.Values, other.Values)
		}
	}
}

func kind(in Input) string {
	if in.Values != nil {
		return "a text"
	}
	return "a number"
}

func unitName(u string) string {
	if u == "" {
		return "no unit"
	}
	return u
}

func unitCure(site, task Input) string {
	if task.Unit == "" {
		return fmt.Sprintf(": give no unit in columns: {%s: {unit: %s}}", site.Name, site.Unit)
	}
	if site.Unit == "" {
		return fmt.Sprintf(": say what the file has, columns: {%s: {unit: ...}}", site.Name)
	}
	if _, err := NewConversion(site.Unit, task.Unit); err != nil {
		return ": " + err.Error()
	}
	return fmt.Sprintf(": columns: {%s: {unit: %s, to: %s}} converts it", site.Name, site.Unit, task.Unit)
}

// lists compares two lists of names, and reports whether they have the same ones.
func (d *differ) lists(what, order string, have, want []string) bool {
	missing, extra := without(want, have), without(have, want)
	if missing == nil && extra == nil {
		if !slices.Equal(have, want) {
			d.add("has another %s: %s", order, d.both(have, want))
		}
		return true
	}
	var parts []string
	if missing != nil {
		parts = append(parts, List(quoted(missing))+verb(missing)+" missing")
	}
	if extra != nil {
		parts = append(parts, List(quoted(extra))+verb(extra)+" not in the model")
	}
	d.add("has %d %s, the model has %d: %s (%s)", len(have), what, len(want), strings.Join(parts, ", "), d.both(have, want))
	return false
}

// both are two lists side by side, without what they begin with alike where they are long.
func (d *differ) both(have, want []string) string {
	from := 0
	if max(len(have), len(want)) > mostNames {
		for from < min(len(have), len(want)) && have[from] == want[from] {
			from++
		}
	}
	text := fmt.Sprintf("%s: %s; the model: %s", d.name, List(have[from:]), List(want[from:]))
	if from > 0 {
		text = fmt.Sprintf("after %d alike, %s", from, text)
	}
	return text
}

func verb(names []string) string {
	if len(names) == 1 {
		return " is"
	}
	return " are"
}

// features compares what becomes of the inputs.
func (d *differ) features(site, task *Contract) {
	have, want := site.described(), task.described()
	for _, name := range site.Names() {
		h, w := have[name], want[name]
		if w != nil && !slices.Equal(h, w) {
			d.add("reads %q %s, the model %s", name, strings.Join(h, " and "), strings.Join(w, " and "))
			return // one is told: a group of columns is treated alike
		}
	}
	if len(d.out) > 0 {
		return // a list of features in another order follows from that of the inputs
	}
	a, b := site.featureNames(), task.featureNames()
	d.lists("features", "order of features", a, b)
}

// described says of each input what becomes of it.
func (c *Contract) described() map[string][]string {
	out := map[string][]string{}
	for _, f := range c.features() {
		out[f.Of] = append(out[f.Of], f.String())
	}
	return out
}

// String says what a feature does to its input.
func (f Feature) String() string {
	var parts []string
	if f.Clip > 0 {
		parts = append(parts, fmt.Sprintf("clip: %v", f.Clip))
	}
	if f.SLog > 0 {
		parts = append(parts, fmt.Sprintf("slog: %v", f.SLog))
	}
	if f.Log1p {
		parts = append(parts, "log1p")
	}
	if f.MissingFlag {
		parts = append(parts, "missing_flag")
	}
	if parts == nil {
		return "as it is"
	}
	return "with " + strings.Join(parts, ", ")
}

func (d *differ) window(have, want *Window) {
	switch {
	case have == nil && want == nil:
	case have == nil:
		d.add("has a row of its file a time, the model a window of %d rows (derive)", want.Rows)
	case want == nil:
		d.add("makes windows of %d rows (derive), the model has a row of a file a time", have.Rows)
	default:
		if have.Rows != want.Rows {
			d.add("makes windows of %d rows, the model of %d", have.Rows, want.Rows)
		}
		d.lists("statistics of a window", "order of statistics", have.Stats, want.Stats)
		d.lists("columns that name a unit", "order of the columns that name a unit", have.Group, want.Group)
		if have.Order != want.Order {
			d.add("orders the rows of a unit by %q, the model by %q", have.Order, want.Order)
		}
	}
}

func (d *differ) target(have, want Target) {
	if have.Name != want.Name {
		d.add("has the target %q, the model %q", have.Name, want.Name)
	}
	switch {
	case have.Classes == nil && want.Classes == nil:
	case have.Classes == nil:
		d.add("has no classes of %q, the model %s", have.Name, List(want.Classes))
	case want.Classes == nil:
		d.add("has the classes %s of %q, for the model it is a number", List(have.Classes), have.Name)
	default:
		d.lists(fmt.Sprintf("classes of %q", have.Name), fmt.Sprintf("order of classes of %q", have.Name), have.Classes, want.Classes)
	}
	if have.Unit != want.Unit {
		d.add("has the target %q in %s, the model in %s", have.Name, unitName(have.Unit), unitName(want.Unit))
	}
	if have.Offset != want.Offset || have.scale() != want.scale() || have.RowsLeft != want.RowsLeft {
		d.add("scales the target by %s, the model by %s", have.scaling(), want.scaling())
	}
}

func (t Target) scaling() string {
	if t.RowsLeft > 0 {
		return fmt.Sprintf("rows_left: %v", t.RowsLeft)
	}
	return fmt.Sprintf("offset: %v, scale: %v", t.Offset, t.scale())
}

func (n Net) String() string {
	parts := []string{"output: " + n.Output}
	if n.Tensors != "" {
		parts = append(parts, "tensors: "+n.Tensors)
	}
	if n.Activation != "" {
		parts = append(parts, "activation: "+n.Activation)
	}
	return strings.Join(parts, ", ")
}

// Names are those of the inputs, in order.
func (c *Contract) Names() []string {
	out := make([]string, len(c.Inputs))
	for i, in := range c.Inputs {
		out[i] = in.Name
	}
	return out
}

func (c *Contract) featureNames() []string {
	var out []string
	for _, f := range c.features() {
		out = append(out, f.Of+" "+f.String())
	}
	return out
}

// without are the names of a that are none of b.
func without(a, b []string) (out []string) {
	there := make(map[string]bool, len(b))
	for _, s := range b {
		there[s] = true
	}
	for _, s := range a {
		if !there[s] {
			out = append(out, s)
		}
	}
	return out
}

// mostNames are shown of a list.
const mostNames = 8

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, s := range names {
		out[i] = strconv.Quote(s)
	}
	return out
}

// List joins names by commas, the first eight if there are more.
func List(names []string) string {
	if more := len(names) - mostNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
