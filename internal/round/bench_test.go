package round_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
)

// BenchmarkJoin is a join among so many members, while an attempt runs and
// while the task waits for more: Step, Ready, and what is to be saved as JSON.
func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		for phase, start := range map[string]int{"open": 1, "idle": 1 << 30} {
			b.Run(fmt.Sprintf("%s/%d", phase, n), func(b *testing.B) {
				m := round.New(round.Config{Members: filters(b, "+"), StartWhen: start, Quorum: 1}, nil, nil, nil)
				m.Step(1, round.Started{})
				join := func(i int) {
					m.Step(0, round.Join{Member: fmt.Sprintf("m%05d", i%n), Samples: 5, Counter: uint64(i) + 1, Digest: id(fmt.Sprint(i))})
				}
				for i := range n {
					join(i)
				}
				m.Ready()
				b.ReportAllocs()
				for i := n; b.Loop(); i++ {
					join(i)
					if _, err := json.Marshal(m.Ready().Save); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
