package site

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// vectorOf is the model of one tensor w, f64.
func vectorOf(t *testing.T, w []float64) *model.Model {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F64, Shape: []int{len(w)}})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	if err := m.SetFloat64s("w", w); err != nil {
		t.Fatal(err)
	}
	return m
}

// What a site makes of its training under SCAFFOLD are the numbers of the vectors: what
// its gradients are corrected by, how its control variates change, and what they are then.
func TestControlVector(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			ID     string
			Params struct {
				K   float64
				Eta float64 `json:"eta_l"`
			}
			Input, Expected json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Cases {
		if v.ID != "scaffold-client" {
			continue
		}
		var in struct {
			Base, Local, C []float64
			Own            []float64 `json:"c_i"`
		}
		var want struct {
			Own    []float64 `json:"c_i"`
			DeltaC []float64 `json:"delta_c"`
		}
		if err := errors.Join(json.Unmarshal(v.Input, &in), json.Unmarshal(v.Expected, &want)); err != nil {
			t.Fatal(err)
		}
		base, err := vectorOf(t, in.Base).WithControls()
		if err != nil {
			t.Fatal(err)
		}
		copy(base.Bytes("fedmq.c/w"), vectorOf(t, in.C).Blob)
		j := &job{offline: &Controls{own: vectorOf(t, in.Own).Blob}}
		k, err := j.controlOf(base)
		if err != nil {
			t.Fatal(err)
		}
		diff := make([]float64, len(in.Base))
		for i := range diff {
			diff[i] = in.Local[i] - in.Base[i]
			if got, err := k.correction.Float64s("w"); err != nil || math.Abs(got[i]-(in.C[i]-in.Own[i])) > 1e-15 {
				t.Errorf("correction %v, %v", got, err)
			}
		}
		u, err := k.change(vectorOf(t, diff), map[string]float64{"steps": v.Params.K, "lr": v.Params.Eta})
		if err != nil {
			t.Fatal(err)
		}
		after := &model.Model{Schema: vectorOf(t, in.Base).Schema, Blob: addControls(j.offline.own, u)}
		dc, err1 := u.Float64s("fedmq.c/w")
		own, err2 := after.Float64s("w")
		if errors.Join(err1, err2) != nil {
			t.Fatal(err1, err2)
		}
		for i := range dc {
			if math.Abs(dc[i]-want.DeltaC[i]) > 1e-12 || math.Abs(own[i]-want.Own[i]) > 1e-12 {
				t.Errorf("changes %v, then %v, want %v and %v", dc, own, want.DeltaC, want.Own)
			}
		}
		return
	}
	t.Error("no vector")
}

// Own control variates of other tensors, or none, count as 0; those that overflow, and a
// model without any, are told by name.
func TestControlEdges(t *testing.T) {
	t.Parallel()
	base, err := vectorOf(t, []float64{1, 2}).WithControls()
	if err != nil {
		t.Fatal(err)
	}
	j := &job{offline: &Controls{own: make([]byte, 8)}}
	k, err := j.controlOf(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := k.change(vectorOf(t, []float64{3, 4}), map[string]float64{"steps": 2, "lr": .5})
	if err != nil {
		t.Fatal(err)
	}
	if dc, err := u.Float64s("fedmq.c/w"); err != nil || dc[0] != -3 || dc[1] != -4 {
		t.Errorf("%v, %v", dc, err)
	}
	if after := addControls(make([]byte, 8), u); len(after) != 16 {
		t.Errorf("%d bytes", len(after))
	}
	if _, err := k.change(vectorOf(t, []float64{3, 4}), map[string]float64{"steps": 1, "lr": 1e-320}); !errors.Is(err, errNotFinite) || !strings.Contains(err.Error(), "tensor w") {
		t.Errorf("an overflow: %v", err)
	}
	if _, err := j.controlOf(vectorOf(t, []float64{1})); err == nil || !strings.Contains(err.Error(), "no control variates") {
		t.Errorf("a model without: %v", err)
	}
	c := &Controls{next: []byte{1}, round: 3}
	c.Settled(2, true)
	if c.own != nil {
		t.Error("those of another round are taken over")
	}
	c.next = []byte{1}
	if c.Settled(3, false); c.own != nil || c.next != nil {
		t.Error("those of an update that does not count are taken over")
	}
}
