package site_test

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// bearing learns the mean vibration of one machine's bearing.
type bearing struct{ mm []float32 }

func (b bearing) Samples() int { return len(b.mm) }

func (b bearing) Train(_ context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	set := struct {
		LR float32 `json:"lr"`
	}{LR: 0.1}
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	w, err := global.Float32s("mean")
	if err != nil {
		return nil, err
	}
	for _, x := range b.mm {
		w[0] += set.LR * (x - w[0])
	}
	local := global.Clone()
	return local, local.SetFloat32s("mean", w)
}

// A Go program that is federated: it takes part in the task "bearings" of the
// aggregator at the namespace's node until it is interrupted.
func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := site.Run(ctx, site.Config{
		Broker:    "tcp://127.0.0.1:1883",
		Namespace: "acme",
		Member:    "berlin/line-1",
		DataDir:   "./berlin",
		Tasks:     []site.Task{{Name: "bearings", Trainer: bearing{mm: []float32{0.4, 0.6}}}},
	})
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// What is wrong with a configuration is told at once, in full.
func ExampleConfig_Validate() {
	cfg := site.Config{Broker: "tcp://127.0.0.1:1883", Namespace: "acme", Member: "berlin/line-1", Tasks: []site.Task{{Name: "bearings"}}}
	fmt.Println(cfg.Validate())
	// Output:
	// site: no data directory
	// site: task bearings has no trainer
}
