// Package turbofan is the first example of fedmq: ten fleets of aircraft
// engines learn how many flights an engine has left, and half of them have
// never seen a fan fail. See the README beside it.
//
// The package holds the data and the configs, embedded, and nothing that runs:
// "fedmq demo" runs it.
package turbofan

import (
	"embed"
	"fmt"
)

// Files are the data, aggregator.yaml and site.yaml.
//
//go:embed *.gz *.csv *.yaml
var Files embed.FS

// Sites returns, for each fleet, the values of the variables in site.yaml:
// MEMBER, its path in the namespace; SITE, its name in train.csv.gz; and
// SUBSET and UNITS, the test engines dealt to it. Together the fleets hold
// every test engine once, so that their pooled score is the score over all.
func Sites() []map[string]string {
	var out []map[string]string
	for i := range 10 {
		subset := "FD001"
		if i >= 5 {
			subset = "FD003"
		}
		first := i%5*20 + 1
		out = append(out, map[string]string{
			"MEMBER": fmt.Sprintf("fleet-%02d/engines", i+1),
			"SITE":   fmt.Sprintf("F%02d", i+1),
			"SUBSET": subset,
			"UNITS":  fmt.Sprintf("%d..%d", first, first+19),
		})
	}
	return out
}
