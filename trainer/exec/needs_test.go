package exec

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// What a strategy needs goes to a program and comes back, and its file is gone afterwards
//
func TestNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr, err := Start(t.Context(), Config{Command: self(t, "steered"), Files: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got := trainer.CapabilitiesOf(tr); !slices.Equal(got, []string{"correction", "mu", "steps"}) {
		t.Errorf("capabilities %v", got)
	}
	schema, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{2}})
	if err != nil {
		t.Fatal(err)
	}
	correction := model.New(schema)
	if err := correction.SetFloat32s("w", []float32{1, -2}); err != nil {
		t.Fatal(err)
	}
	job := trainer.Job{
		Task: "t", Round: 1, Attempt: 1, Settings: json.RawMessage(`{"lr":0.5}`),
		Needs: []string{trainer.NeedCorrection, trainer.NeedMu, trainer.NeedSteps}, Mu: 3, Correction: correction,
	}
	local, err := tr.Train(t.Context(), job, global())
	if err != nil {
		t.Fatal(err)
	}
	if w, err := local.Float32s("w"); err != nil || w[0] != -2 || w[1] != -0.5 {
		t.Errorf("%v, %v", w, err)
	}
	if got, err := job.ScalarsOf(tr); err != nil || got["lr"] != 0.5 || got["steps"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	job.Settings = json.RawMessage(`{"lr":0}`)
	if _, err := tr.Train(t.Context(), job, global()); err == nil || !strings.Contains(err.Error(), "lr is 0") {
		t.Errorf("a rate of 0: %v", err)
	}
	if _, err := os.Lstat(tr.files.correction()); !os.IsNotExist(err) {
		t.Errorf("the correction is left: %v", err)
	}
}
