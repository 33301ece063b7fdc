package aggregator_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// The genesis names the description of the task, which is written again when
// it is gone; other rules under the same schema are another task (RC-16).
func TestDescription(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("nobody there") }
	kept := model.Spec{Name: "scale", DType: model.F64, Shape: []int{2}, Rule: model.Keep}
	cfg.Tasks[0].Init = initial(t, model.Spec{Name: "w", Shape: []int{4}}, kept)
	start := func() error { // as far as the disk
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return aggregator.Run(ctx, cfg)
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	about := filepath.Join(cfg.DataDir, "records", "quality.json")
	written, err := os.ReadFile(about)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(cfg.DataDir, "records", "quality", "000000-0.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Decode(raw)
	if err != nil || r.OrderHash != record.Hash(written) {
		t.Errorf("the genesis names %s, the description is %x, %v", r.OrderHash, record.Hash(written), err)
	}
	if d, err := record.DecodeDescription(written); err != nil || d.Owner != "acme" || len(d.Tensors) != 2 || d.Tensors[0].Rule != "keep" {
		t.Errorf("%+v, %v", d, err)
	}

	if err := os.Remove(about); err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(about); err != nil || string(again) != string(written) {
		t.Errorf("%s, %v", again, err)
	}

	kept.Rule = model.Mean
	cfg.Tasks[0].Init = initial(t, model.Spec{Name: "w", Shape: []int{4}}, kept)
	if err := start(); err == nil || !strings.Contains(err.Error(), "other rules are a new task") {
		t.Errorf("other rules: %v", err)
	}
}
