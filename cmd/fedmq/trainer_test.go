package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/exec"
)

// lineTrainer is a trainer's program for scripts: it adds 1 to the bias. In the
// round named first it writes its pid into the file named second and waits to
// be killed, unless the file is there.
func lineTrainer(args []string) int {
	t := biased{}
	if len(args) == 2 {
		t.hang, t.file = args[0], args[1]
	}
	if err := exec.Serve(context.Background(), os.Stdin, os.Stdout, t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type biased struct{ hang, file string }

func (biased) Samples() int { return 2 }

func (t biased) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if _, err := os.Stat(t.file); err != nil && strconv.FormatUint(job.Round, 10) == t.hang {
		fmt.Fprintln(os.Stderr, "waiting to be killed")
		pid := strconv.Itoa(os.Getpid())
		if err := errors.Join(os.WriteFile(t.file+".part", []byte(pid), 0o600), os.Rename(t.file+".part", t.file)); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b, err := global.Float32s("layers.0.bias")
	if err != nil {
		return nil, err
	}
	b[0]++
	local := global.Clone()
	return local, local.SetFloat32s("layers.0.bias", b)
}

// Init is the first model of a line.
func (biased) Init(_ context.Context, seed [32]byte) (*model.Model, error) {
	m, err := model.Arch{Kind: "linear", Inputs: 1, Outputs: 1}.New(false)
	if err == nil {
		err = m.SetFloat32s("layers.0.bias", []float32{float32(seed[0])})
	}
	return m, err
}

// cmdSub writes everything that arrives on a topic into a file, a JSON string
// a line: sub topic file.
func cmdSub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sub topic file")
	}
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + ts.Getenv("PORT")).SetClientID("sub"))
	wait := func(t mqtt.Token) {
		t.Wait()
		ts.Check(t.Error())
	}
	wait(c.Connect())
	ts.Defer(func() {
		c.Disconnect(0)
		_ = f.Close()
	})
	wait(c.Subscribe(args[0], 1, func(_ mqtt.Client, m mqtt.Message) {
		if err := json.NewEncoder(f).Encode(string(m.Payload())); err != nil {
			ts.Logf("sub: %v", err)
		}
	}))
}
