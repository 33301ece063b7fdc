package record_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// What a round's fold rests on beside the grid, and what it leaves, stands in the
// record where there is something to say, and is not in the bytes otherwise.
func TestStrategy(t *testing.T) {
	t.Parallel()
	with := func(change func(r *record.Record)) ([]byte, error) {
		r := record.Record{
			Owner: "acme", Task: "q", Round: 1, Attempt: 1, Verdict: record.Committed, Work: "train", Model: model.Hash{1}, Version: 1,
			Strategy: record.Strategy{Name: "fedavg", GridB: 6, GridW: 10, Cap: 1, Weights: "uniform"},
		}
		change(&r)
		return r.Encode(nil)
	}
	plain, err := with(func(*record.Record) {})
	if err != nil || bytes.Contains(plain, []byte(`"server"`)) || bytes.Contains(plain, []byte(`"thresholds"`)) || bytes.Contains(plain, []byte(`"state"`)) {
		t.Errorf("%s, %v", plain, err)
	}
	full, err := with(func(r *record.Record) {
		r.Strategy.Server, r.Strategy.Thresholds, r.State = "adam", record.Values{"z": 2.5, "c": 1}, model.Hash{2}
	})
	if err != nil || !bytes.Contains(full, []byte(`"weights":"uniform","server":"adam","thresholds":{"c":1,"z":2.5}}`)) ||
		!bytes.Contains(full, []byte(`"state":"0200`)) {
		t.Errorf("%s, %v", full, err)
	}
	if again, err := record.Decode(full); err != nil || again.Strategy.Thresholds["z"] != 2.5 || again.State != (model.Hash{2}) {
		t.Errorf("%+v, %v", again, err)
	}
	for name, change := range map[string]func(r *record.Record){
		"no thresholds, but said":     func(r *record.Record) { r.Strategy.Thresholds = record.Values{} },
		"a threshold that is no such": func(r *record.Record) { r.Strategy.Thresholds = record.Values{"z": math.NaN()} },
		"a threshold without a name":  func(r *record.Record) { r.Strategy.Thresholds = record.Values{"": 1} },
		"a long name":                 func(r *record.Record) { r.Strategy.Server = strings.Repeat("x", 65) },
		"a state of nothing": func(r *record.Record) {
			r.Verdict, r.Model, r.Version, r.State = record.Abandoned, model.Hash{}, 0, model.Hash{2}
		},
	} {
		if b, err := with(change); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
	for _, bad := range []string{`"thresholds":{}`, `"server":""`, `"state":""`} {
		b := bytes.Replace(plain, []byte(`"weights":"uniform"}`), []byte(`"weights":"uniform",`+bad+`}`), 1)
		if strings.HasPrefix(bad, `"state"`) {
			b = bytes.Replace(plain, []byte(`"security"`), []byte(bad+`,"security"`), 1)
		}
		if _, err := record.Decode(b); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
