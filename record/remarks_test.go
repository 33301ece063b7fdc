package record_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
)

func TestRemarks(t *testing.T) {
	t.Parallel()
	entry := func(path string, samples, weight uint64, m record.Values) record.Entry {
		return record.Entry{Member: path, Samples: samples, Weight: weight, Verdict: verdict.Counted, Metrics: m}
	}
	both := record.Values{"n": 10, "accuracy": 0.9}
	for name, c := range map[string]struct {
		r    record.Record
		want []string
	}{
		"nothing": {record.Record{
			Strategy: record.Strategy{Weights: "samples", Cap: 10}, Entries: record.Entries{entry("a", 10, 10, both), entry("b", 9, 9, both)},
			Metrics: record.Metrics{"n": {Value: 20, Rows: 20, Sites: 2}, "accuracy": {Value: 0.9, Rows: 20, Sites: 2}},
		}, nil},
		"older, without rows": {record.Record{
			Metrics: record.Metrics{"n": {Value: 20, Sites: 2}, "accuracy": {Value: 0.9, Sites: 1}},
		}, nil},
		"cap": {record.Record{
			Strategy: record.Strategy{Weights: "samples", Cap: 10}, Entries: record.Entries{entry("n/a", 1000, 10, nil), entry("s/b", 1, 1, nil)},
		}, []string{"weights are limited to 10, so these count less than their rows: n/a with 1000 rows (strategy: {cap: N} or cap_factor sets another limit)"}},
		"roots": {record.Record{
			Strategy: record.Strategy{Weights: "sqrt", Cap: 10}, Entries: record.Entries{entry("a", 110, 10, nil), entry("b", 111, 10, nil)},
		}, []string{"weights are limited to 10, so these count less than their rows: b with 111 rows (strategy: {cap: N} or cap_factor sets another limit)"}},
		"uniform": {record.Record{
			Strategy: record.Strategy{Weights: "uniform", Cap: 1}, Entries: record.Entries{entry("a", 110, 1, nil)},
		}, nil},
		"guard": {
			record.Record{
				Strategy: record.Strategy{Weights: "samples", Cap: 10, Thresholds: record.Values{"z": 10, "Z": 21, "C": 0.5}},
				Entries: record.Entries{
					{Member: "a", Verdict: verdict.NormOutlier},
					{Member: "b", Verdict: verdict.Counted, Norm: 0.5},
					{Member: "c", Verdict: verdict.Counted, Norm: 0.75},
					{Member: "d", Verdict: verdict.NormOutlier},
					{Member: "e", Verdict: verdict.Kept, Norm: 3},
				},
			},
			[]string{
				"the guard has refused updates with a value beyond 21: a, d (training that diverged, a damaged or hostile site; the refusal names the value; strategy: {guard: {zero: {initial: N}}} takes larger ones)",
				"the guard scales updates to a norm of at most 0.5: c with 0.75",
			},
		},
		"too large, most of them": {
			record.Record{Work: "train", Entries: record.Entries{
				{Member: "a", Verdict: verdict.OutOfRange},
				{Member: "b", Verdict: verdict.Lapsed},
				{Member: "c", Verdict: verdict.Declined, Detail: "not_finite"},
				{Member: "d", Verdict: verdict.Missing},
				{Member: "e", Verdict: verdict.Declined, Detail: "no_data"},
			}},
			[]string{"2 of 3 updates have values too large to count, or that are no numbers (a, c): " + verdict.Scale},
		},
		"too large, half of them": {
			record.Record{Work: "train", Entries: record.Entries{{Member: "a", Verdict: verdict.OutOfRange}, {Member: "b", Verdict: verdict.Counted}}},
			nil,
		},
		"not finite, and nothing was trained": {record.Record{Work: "statistics", Entries: record.Entries{{Member: "a", Verdict: verdict.NotFinite}}}, nil},
		"rows": {record.Record{
			Entries: record.Entries{entry("n/a", 1, 1, both), entry("s/b", 1, 1, record.Values{"n": 90}), entry("s/c", 1, 1, nil)},
			Metrics: record.Metrics{"n": {Value: 100, Rows: 100, Sites: 2}, "accuracy": {Value: 0.9, Rows: 10, Sites: 1}},
		}, []string{"accuracy is over 10 of 100 rows; not reported by s/b"}},
		"constant": {record.Record{
			Metrics: record.Metrics{"n": {Value: 5, Rows: 5, Sites: 2}, "r2": {Value: record.Number(math.NaN()), Rows: 5}},
		}, []string{"r2 has no value: the target is the same in all of 5 rows"}},
	} {
		var got []string
		for _, x := range c.r.Remarks() {
			got = append(got, x.Text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: - want, + got\n%s", name, diff)
		}
	}
	many := record.Record{Strategy: record.Strategy{Weights: "samples", Cap: 1}}
	for i := range 9 {
		many.Entries = append(many.Entries, entry(string(rune('a'+i)), 2, 1, nil))
	}
	if got := many.Remarks()[0].Text; !cmp.Equal(got, "weights are limited to 1, so these count less than their rows: a with 2 rows, b with 2 rows, c with 2 rows, d with 2 rows, e with 2 rows and 4 more (strategy: {cap: N} or cap_factor sets another limit)") {
		t.Error(got)
	}
}
