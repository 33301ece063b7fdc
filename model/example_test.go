package model_test

import (
	"bytes"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

func ExampleNewSchema() {
	s, err := model.NewSchema(
		model.Spec{Name: "weight", Shape: []int{2, 3}},
		model.Spec{Name: "bias", Shape: []int{2}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, t := range s {
		fmt.Println(t.Name, t.DType, t.Shape, "at byte", s.Offset(i))
	}
	fmt.Println(s.Bytes(), "bytes")
	// Output:
	// bias f32 [2] at byte 0
	// weight f32 [2 3] at byte 8
	// 32 bytes
}

func ExampleArch_New() {
	m, err := model.Arch{Kind: "mlp", Inputs: 48, Hidden: []int{32}, Outputs: 1, Task: "regression", Seed: 1}.New(true)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range m.Schema {
		fmt.Println(t.Name, t.DType, t.Shape, t.Rule)
	}
	// Output:
	// fedmq.mean f64 [48] keep
	// fedmq.sd f64 [48] keep
	// layers.0.bias f32 [32] mean
	// layers.0.weight f32 [32 48] mean
	// layers.1.bias f32 [1] mean
	// layers.1.weight f32 [1 32] mean
}

func ExampleModel_WriteSafetensors() {
	m, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(false)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.SetFloat32s(model.WeightName(0), []float32{0.5, -1}); err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := m.WriteSafetensors(&file, map[string]string{"made_by": "example"}); err != nil {
		fmt.Println(err)
		return
	}
	back, err := model.ReadSafetensors(&file, 1<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := back.Float32s(model.WeightName(0))
	fmt.Println(w, err, back.ContentID() == m.ContentID())
	// Output: [0.5 -1] <nil> true
}
