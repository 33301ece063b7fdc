package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/fedmq/fedmq/internal/link"
)

// A broker that takes no blanks is told from one with an access list, and is of no use
// to a namespace that has one.
func TestNames(t *testing.T) {
	t.Parallel()
	blanks := func(_, topic string, _ bool) bool { return strings.Contains(topic, " ") }
	for ns, refused := range map[string]bool{"acme": false, "Werk Köln": true} {
		examine(t, func(b *broker, c *Config, _ *mochi.Capabilities) {
			c.Namespace, c.Gentle, b.deny = ns, true, blanks
		}, func(t *testing.T, b *broker, r *Report, err error) {
			if refused != errors.Is(err, link.ErrNames) || !refused && (err != nil || !slices.Equal(r.Names, []string{"blanks"})) {
				t.Errorf("%s: %q, %v", ns, r.Names, err)
			}
			gone(t, b)
		})
	}
	examine(t, func(_ *broker, c *Config, _ *mochi.Capabilities) { c.Namespace = "Werk Köln/spBv1.0" }, func(t *testing.T, b *broker, r *Report, err error) {
		if err != nil || len(r.Names) > 0 {
			t.Errorf("%q, %v", r.Names, err)
		}
		gone(t, b)
	})
}
