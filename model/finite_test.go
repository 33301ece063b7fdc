package model

import (
	"math"
	"testing"
)

func TestFinite(t *testing.T) {
	t.Parallel()
	m, err := Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Finite(); err != nil {
		t.Errorf("a first model: %v", err)
	}
	for name, v := range map[string]float64{"layers.0.bias": math.NaN(), ZSDName: math.Inf(-1)} {
		bad := m.Clone()
		if name == ZSDName {
			err = bad.SetFloat64s(name, []float64{1, v})
		} else {
			err = bad.SetFloat32s(name, []float32{float32(v)})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := bad.Finite(); err == nil {
			t.Errorf("%s of %v is taken", name, v)
		}
	}
}
