package aggregator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The history of a long task is thinned out evenly, ends with the last round,
// and fits what JSON topics may be, whatever its metrics are called.
func TestPast(t *testing.T) {
	t.Parallel()
	var p past
	r := rand.New(rand.NewPCG(1, 2))
	for n := uint64(1); n <= 5000; n++ {
		s := summary{Round: n, Attempt: 1, Work: "train", Counted: 10_000, Members: 10_000, Seconds: 1000 * r.Float64(), Metrics: map[string]float64{}}
		for i := range 30 {
			s.Metrics[fmt.Sprintf("%s%02d", strings.Repeat("m", 60), i)] = -r.ExpFloat64() * 1e-9
		}
		p.add(s)
		if n%7 != 0 {
			continue
		}
		list := p.rounds()
		if last := list[len(list)-1].round; last != n || list[0].round != 1 || len(list) > pastRounds+1 || n > 200 && len(list) < pastRounds/2 {
			t.Fatalf("after %d rounds %d are kept, %d to %d", n, len(list), list[0].round, last)
		}
		for i, gap := 2, list[1].round-list[0].round; i < len(list)-1; i++ {
			if list[i].round-list[i-1].round != gap {
				t.Fatalf("after %d rounds: round %d follows on %d, others on every %d", n, list[i].round, list[i-1].round, gap)
			}
		}
	}
	b := p.view("t", 1)
	var v historyView
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(b) > pastBytes || len(v.Metrics) == 0 || len(v.Rounds) != len(p.rounds()) {
		t.Errorf("%d bytes, %d metrics, %d rounds", len(b), len(v.Metrics), len(v.Rounds))
	}
}
