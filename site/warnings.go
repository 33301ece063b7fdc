package site

import (
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/topics"
)

// Warnings names settings of a valid configuration that will have no effect.
func (c Config) Warnings() (out []string) {
	paths := []string{c.Member}
	for _, t := range c.Tasks {
		paths = append(paths, t.Owner)
	}
	for _, k := range c.Keys {
		paths = append(paths, k.Path)
		switch {
		case k.Role != topics.RoleAggregator:
			out = append(out, fmt.Sprintf("keys.allow: the key of the %s %q has no effect: a site hears aggregators", k.Role, k.Path))
		case !slices.ContainsFunc(c.Tasks, func(t Task) bool { return t.Owner == k.Path }):
			out = append(out, fmt.Sprintf("keys.allow: the key of the aggregator at %q has no effect: it owns none of the tasks", k.Path))
		}
	}
	return append(append(out, near.Warnings(c.Namespace)...), near.Warnings(paths...)...)
}
