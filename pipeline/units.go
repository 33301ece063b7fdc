package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// Conversion turns a number in one unit into the same quantity in another.
type Conversion struct{ factor, offset float64 }

// unit is value·factor + offset in the first unit of its quantity.
type unit struct {
	name           string
	factor, offset float64
}

// quantities are the units that convert: temperature, pressure, flow by volume and
// by mass, rotation, speed, length, mass, power, shares. Exact by their definitions (BIPM, NIST SP 811).
var quantities = [][]unit{
	{{"K", 1, 0}, {"degC", 1, 273.15}, {"degF", 5.0 / 9, 459.67 * 5 / 9}},
	{{"Pa", 1, 0}, {"hPa", 100, 0}, {"mbar", 100, 0}, {"kPa", 1e3, 0}, {"bar", 1e5, 0}, {"MPa", 1e6, 0}, {"atm", 101325, 0}, {"psi", 6894.757293168361, 0}},
	{{"m3/s", 1, 0}, {"m3/h", 1 / 3600.0, 0}, {"l/s", 1e-3, 0}, {"l/min", 1e-3 / 60, 0}, {"l/h", 1e-3 / 3600, 0}, {"gpm", 3.785411784e-3 / 60, 0}},
	{{"kg/s", 1, 0}, {"kg/h", 1 / 3600.0, 0}, {"t/h", 1 / 3.6, 0}},
	{{"rpm", 1, 0}, {"1/min", 1, 0}, {"1/s", 60, 0}, {"Hz", 60, 0}},
	{{"m/s", 1, 0}, {"m/min", 1 / 60.0, 0}, {"mm/s", 1e-3, 0}, {"km/h", 1 / 3.6, 0}, {"mph", 0.44704, 0}, {"ft/min", 0.3048 / 60, 0}},
	{{"m", 1, 0}, {"um", 1e-6, 0}, {"mm", 1e-3, 0}, {"cm", 1e-2, 0}, {"km", 1e3, 0}, {"in", 0.0254, 0}, {"ft", 0.3048, 0}},
	{{"kg", 1, 0}, {"mg", 1e-6, 0}, {"g", 1e-3, 0}, {"t", 1e3, 0}, {"lb", 0.45359237, 0}},
	{{"W", 1, 0}, {"kW", 1e3, 0}, {"MW", 1e6, 0}, {"hp", 745.6998715822702, 0}},
	{{"1", 1, 0}, {"%", 1e-2, 0}, {"permille", 1e-3, 0}, {"ppm", 1e-6, 0}},
}

// other ways to write a unit.
var spellings = strings.NewReplacer("°", "deg", "³", "3", "²", "2", "µ", "u", "μ", "u", "L/", "l/", "‰", "permille", " ", "")

// CanonicalUnit is the one spelling of a unit that has several: degC of °C and C,
// m3/h of m³/h. A unit that is in no table is left as it is.
func CanonicalUnit(s string) string {
	t := spellings.Replace(s)
	switch t {
	case "C", "F":
		t = "deg" + t
	}
	if slices.ContainsFunc(quantities, func(q []unit) bool { return find(q, t) >= 0 }) {
		return t
	}
	return s
}

func find(q []unit, name string) int {
	return slices.IndexFunc(q, func(u unit) bool { return u.name == name })
}

// NewConversion returns how a unit becomes another; of a pair that is not in one
// quantity's table the error names both, and what the first converts to.
func NewConversion(from, to string) (Conversion, error) {
	from, to = CanonicalUnit(from), CanonicalUnit(to)
	if from == to {
		return Conversion{1, 0}, nil
	}
	for _, q := range quantities {
		i := find(q, from)
		if i < 0 {
			continue
		}
		if j := find(q, to); j >= 0 {
			a, b := q[i], q[j]
			return Conversion{a.factor / b.factor, (a.offset - b.offset) / b.factor}, nil
		}
		return Conversion{}, fmt.Errorf("%s does not become %s: it converts to %s", from, to, names(q, from))
	}
	return Conversion{}, fmt.Errorf("%s does not become %s: the unit %s is in no table", from, to, from)
}

func names(q []unit, but string) string {
	var out []string
	for _, u := range q {
		if u.name != but {
			out = append(out, u.name)
		}
	}
	return strings.Join(out, ", ")
}

// Apply converts a number; missing stays missing.
func (c Conversion) Apply(v float64) float64 { return float64(v*c.factor) + c.offset }

// Convert is a number in the unit from in the unit to.
func Convert(v float64, from, to string) (float64, error) {
	c, err := NewConversion(from, to)
	return c.Apply(v), err
}
