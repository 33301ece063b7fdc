package broker

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// Names finds what a filter matches, as topics.Match says, and keeps nothing of what
// is gone.
func TestNames(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	word := func(of ...string) string {
		levels := make([]string, 1+r.IntN(4))
		for i := range levels {
			levels[i] = of[r.IntN(len(of))]
		}
		return strings.Join(levels, "/")
	}
	var n names
	there := map[string]bool{}
	for range 300 {
		topic := word("a", "b", "$c")
		if there[topic] = r.IntN(3) > 0; there[topic] {
			n.add(topic)
		} else {
			n.remove(topic)
		}
		filter := word("a", "b", "$c", "+")
		if r.IntN(2) == 0 {
			filter += "/#"
		}
		for _, filter := range []string{filter, "#"} {
			var got, want []string
			n.each(filter, func(topic string) { got = append(got, topic) })
			for topic, is := range there {
				if is && topics.Match(filter, topic) {
					want = append(want, topic)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: got %q, want %q", filter, got, want)
			}
		}
	}
	for topic := range there {
		n.remove(topic)
	}
	if len(n.below) > 0 {
		t.Errorf("left: %v", n.below)
	}
}
