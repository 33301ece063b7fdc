// Package tep is an example of fedmq for server optimisers: ten chemical plants
// learn to tell eighteen states apart, of which each has met four. See the README beside it.
//
// The package holds the data and the configs, embedded, and nothing that runs:
// "fedmq demo --example tep" runs it.
package tep

import (
	"embed"
	"fmt"
)

// Files are the data, aggregator.yaml and site.yaml.
//
//go:embed *.gz *.yaml
var Files embed.FS

// Sites returns, for each plant, the values of the variables in site.yaml:
// MEMBER, its path in the namespace; SITE, its name in train.csv.gz; and TEST,
// the times of the test rows dealt to it. Together the plants hold every test
// row once, so that their pooled score is the score over all.
func Sites() []map[string]string {
	var out []map[string]string
	for i := range 10 {
		first, last := 160+80*i, 239+80*i
		if i == 0 {
			first = 0 // before 160 all is normal
		}
		out = append(out, map[string]string{
			"MEMBER": fmt.Sprintf("plant-%02d/process", i+1),
			"SITE":   fmt.Sprintf("P%02d", i+1),
			"TEST":   fmt.Sprintf("%d..%d", first, last),
		})
	}
	return out
}
