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
		r.Strategy.Params, r.Strategy.ServerParams, r.Notes = record.Settings{"mu": .01, "by": "rows"}, record.Settings{"eta": 1.}, record.Notes{"begun anew"}
	})
	if err != nil || !bytes.Contains(full, []byte(`"weights":"uniform","params":{"by":"rows","mu":0.01},"server":"adam","server_params":{"eta":1},"thresholds":{"c":1,"z":2.5}}`)) ||
		!bytes.Contains(full, []byte(`"state":"0200`)) || !bytes.Contains(full, []byte(`"notes":["begun anew"]`)) {
		t.Errorf("%s, %v", full, err)
	}
	if again, err := record.Decode(full); err != nil || again.Strategy.Thresholds["z"] != 2.5 || again.State != (model.Hash{2}) || again.Strategy.Params["by"] != "rows" || again.Strategy.ServerParams["eta"] != 1. || again.Remarks()[0].Text != "begun anew" {
		t.Errorf("%+v, %v", again, err)
	}
	for name, change := range map[string]func(r *record.Record){
		"no thresholds, but said":     func(r *record.Record) { r.Strategy.Thresholds = record.Values{} },
		"a threshold that is no such": func(r *record.Record) { r.Strategy.Thresholds = record.Values{"z": math.NaN()} },
		"no parameters, but said":     func(r *record.Record) { r.Strategy.Params = record.Settings{} },
		"a parameter of a whole":      func(r *record.Record) { r.Strategy.Params = record.Settings{"mu": 1} },
		"a parameter that is no such": func(r *record.Record) { r.Strategy.ServerParams = record.Settings{"mu": math.Inf(1)} },
		"a parameter without a name":  func(r *record.Record) { r.Strategy.Params = record.Settings{"": 1.} },
		"an empty note":               func(r *record.Record) { r.Notes = record.Notes{""} },
		"no notes, but said":          func(r *record.Record) { r.Notes = record.Notes{} },
		"many notes":                  func(r *record.Record) { r.Notes = make(record.Notes, 17) },
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
	for _, bad := range []string{`"thresholds":{}`, `"server":""`, `"state":""`, `"params":{}`, `"params":null`, `"params":{"a":true}`, `"params":{"a":null}`, `"params":{"b":1,"a":1}`, `"server_params":{}`} {
		b := bytes.Replace(plain, []byte(`"weights":"uniform"}`), []byte(`"weights":"uniform",`+bad+`}`), 1)
		if strings.HasPrefix(bad, `"state"`) {
			b = bytes.Replace(plain, []byte(`"security"`), []byte(bad+`,"security"`), 1)
		}
		if _, err := record.Decode(b); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
