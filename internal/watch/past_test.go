package watch

import (
	"fmt"
	"testing"
)

// Who comes late gets the course of the task, and keeps what it has seen.
func TestPast(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	x := func(v float64) *float64 { return &v }
	f.must(own+"q/round", object{
		"schema": "fedmq.round.v1", "round": 4, "attempt": 1, "phase": "open",
		"last": object{"round": 3, "attempt": 1, "work": "train", "verdict": "committed", "counted": 1, "members": 1},
	})
	f.must(own+"q/history", object{
		"schema": "fedmq.history.v1", "rounds": []int{1, 2, 3}, "attempts": []int{1, 2, 1}, "works": []string{"statistics", "train", "train"},
		"counted": []int{3, 2, 99}, "members": []int{3, 3, 99}, "seconds": []float64{1, 2, 99},
		"metrics": map[string][]*float64{"rmse": {nil, x(7.5), x(99)}, "short": {x(1)}},
	})
	v, _ := f.Since(0)
	got := ""
	for _, r := range v.Tasks[0].Rounds {
		got += fmt.Sprintln(r.Round, r.Attempt, r.Work, r.Verdict, r.Counted, r.Members, r.Metrics["rmse"], r.Hash == "")
	}
	if got != "1 1 statistics committed 3 3 0 true\n2 2 train committed 2 3 7.5 true\n3 1 train committed 1 1 0 true\n" {
		t.Errorf("%s", got)
	}
	for _, bad := range []string{`{}`, `{"schema":"fedmq.history.v1","rounds":[1,2]`, `{"schema":"fedmq.history.v1","rounds":[-1]}`} {
		if f.Apply(Message{Topic: own + "q/history", Payload: []byte(bad)}, 1) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
