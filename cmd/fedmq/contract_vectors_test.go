package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// What a file says of itself is refused here and by fedmq_trainer.load
// (python/tests/test_contract.py), mostly in the same words.
func TestContractVectors(t *testing.T) {
	t.Parallel()
	var all struct {
		Limits map[string]int
		Cases  []struct {
			ID, Contract, Says string
			About              *string
			Tensors            map[string][2]json.RawMessage // type, shape
		}
	}
	b, err := os.ReadFile("../../testdata/vectors/contract.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	l := all.Limits
	if l["json_bytes"] != pipeline.MaxJSON || l["inputs"] != pipeline.MaxInputs || l["classes"] != pipeline.MaxClasses || l["values"] != pipeline.MaxValues {
		t.Errorf("limits %v", l)
	}
	for _, c := range all.Cases {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			meta := map[string]string{onnx.MetaContract: c.Contract}
			if c.About != nil {
				meta[onnx.MetaAbout] = *c.About
			}
			err := usable(t, c.Tensors, meta)
			if c.Says == "" && err != nil || c.Says != "" && (err == nil || !strings.Contains(err.Error(), c.Says)) {
				t.Errorf("error %v, want %q", err, c.Says)
			}
		})
	}
}

// usable writes a file of zeros, and opens it as fedmq predict does.
func usable(t *testing.T, tensors map[string][2]json.RawMessage, meta map[string]string) error {
	t.Helper()
	var specs []model.Spec
	for name, x := range tensors {
		var kind string
		s := model.Spec{Name: name}
		if err := json.Unmarshal(x[0], &kind); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(x[1], &s.Shape); err != nil {
			t.Fatal(err)
		}
		s.DType = map[string]model.DType{"F16": model.F16, "F32": model.F32, "F64": model.F64}[kind]
		specs = append(specs, s)
	}
	schema, err := model.NewSchema(specs...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := model.New(schema).WriteSafetensors(&b, meta); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openMeantModel(path)
	if err != nil {
		return err
	}
	_, err = tabular.NewPredictor(f.contract, f.model)
	return err
}
