package wire

import (
	"fmt"
	"math"
	"testing"
)

// A sender leaves out what no receiver takes, and no more (W-32).
func TestFitMetrics(t *testing.T) {
	t.Parallel()
	m := map[string]float64{"<b>n</b>": 1, "": 1, "a b": 1, "é": 1, "n": 1, "loss/valid:1.x-y_z": 1}
	for i := range 70 {
		m[fmt.Sprintf("own%02d", i)] = 1
		m[fmt.Sprintf("confusion.%d.0", i)] = 1
	}
	fit, left := FitMetrics(m)
	if len(fit) != 64+70 || len(left) != len(m)-len(fit) || left[0] != "" || fit["loss/valid:1.x-y_z"] != 1 {
		t.Errorf("%d fit, %d are left out: %q", len(fit), len(left), left)
	}
	b, err := Encode(Update{Samples: 1, Metrics: fit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeUpdate(b, nil); err != nil {
		t.Error(err)
	}
	for name, v := range map[string]float64{"<b>": 1, "own99": 1, "n": math.NaN()} {
		bad := map[string]float64{}
		for k, v := range fit {
			bad[k] = v
		}
		bad[name] = v
		if _, err := Encode(Update{Samples: 1, Metrics: bad}); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
}
