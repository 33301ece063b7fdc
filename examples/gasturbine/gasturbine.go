// Package gasturbine is an example of fedmq for models that sites train for themselves: five
// years of one gas turbine learn to tell its NOx from what the control room sees. See the README
// beside it.
//
// The package holds the data and the configs, embedded, and nothing that runs:
// "fedmq demo --example gasturbine" runs it.
package gasturbine

import (
	"embed"
	"fmt"
	"strings"
)

// Files are the data, aggregator.yaml and site.yaml.
//
//go:embed *.gz *.yaml
var Files embed.FS

// Weeks of rows. Every fourth of a year is for tests.
const (
	week  = 168
	weeks = 48 // more than any year has
)

// Sites returns, for each year, the values of the variables in site.yaml: MEMBER, its path in the
// namespace; and SITE, its name in gt.csv.gz. ODD and EVEN are the rows of every second of its test
// weeks and of those between: what one half has chosen the other can measure.
func Sites() []map[string]string {
	var out []map[string]string
	for year := 2011; year <= 2015; year++ {
		out = append(out, map[string]string{
			"MEMBER": fmt.Sprintf("year-%d/turbine", year),
			"SITE":   fmt.Sprintf("Y%d", year),
			"ODD":    rows(3),
			"EVEN":   rows(7),
		})
	}
	return out
}

// rows are those of every eighth week from one on, as ranges with commas.
func rows(first int) string {
	var list []string
	for w := first; w < weeks; w += 8 {
		list = append(list, fmt.Sprintf("%d..%d", week*w, week*w+week-1))
	}
	return strings.Join(list, ", ")
}
