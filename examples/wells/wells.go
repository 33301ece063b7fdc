// Package wells is the second example of fedmq: ten offshore oil wells, real
// sensors, learn to tell undesirable events apart, of which each well has met
// one or two. See the README beside it.
//
// The package holds the data and the configs, embedded, and nothing that runs:
// "fedmq demo --example wells" runs it.
package wells

import (
	"embed"
	"fmt"
)

// Files are the data, aggregator.yaml and site.yaml.
//
//go:embed *.gz *.yaml
var Files embed.FS

// Sites returns, for each well, the values of the variables in site.yaml:
// MEMBER, its path in the namespace, and SITE, its name in windows.csv.gz.
func Sites() []map[string]string {
	var out []map[string]string
	for i := range 10 {
		out = append(out, map[string]string{
			"MEMBER": fmt.Sprintf("well-%02d/sensors", i+1),
			"SITE":   fmt.Sprintf("S%02d", i+1),
		})
	}
	return out
}
