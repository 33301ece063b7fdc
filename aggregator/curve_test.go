package aggregator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/view"
)

// The history of a long task is thinned out evenly, ends with the last round,
// and fits what JSON topics may be, whatever its metrics are called.
func TestCurve(t *testing.T) {
	t.Parallel()
	var c curve
	r := rand.New(rand.NewPCG(1, 2))
	for n := uint64(1); n <= 5000; n++ {
		s := point{Round: n, Attempt: 1, Work: "train", Counted: 10_000, Members: 10_000, Seconds: 1000 * r.Float64(), Metrics: map[string]float64{}}
		for i := range 30 {
			s.Metrics[fmt.Sprintf("%s%02d", strings.Repeat("m", 60), i)] = -r.ExpFloat64() * 1e-9
		}
		c.add(s)
		if n%7 != 0 {
			continue
		}
		list := c.points()
		if last := list[len(list)-1].Round; last != n || list[0].Round != 1 || len(list) > curvePoints+1 || n > 200 && len(list) < curvePoints/2 {
			t.Fatalf("after %d rounds %d are kept, %d to %d", n, len(list), list[0].Round, last)
		}
		for i, gap := 2, list[1].Round-list[0].Round; i < len(list)-1; i++ {
			if list[i].Round-list[i-1].Round != gap {
				t.Fatalf("after %d rounds: round %d follows on %d, others on every %d", n, list[i].Round, list[i-1].Round, gap)
			}
		}
	}
	b := c.history("t", 1)
	var v view.History
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(b) > curveBytes || len(v.Metrics) == 0 || len(v.Rounds) != len(c.points()) {
		t.Errorf("%d bytes, %d metrics, %d rounds", len(b), len(v.Metrics), len(v.Rounds))
	}
}
