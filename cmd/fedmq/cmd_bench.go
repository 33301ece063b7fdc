package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/fedmq/fedmq/model"
)

type benchCmd struct {
	Round benchRoundCmd `cmd:"" help:"Run a whole federation on synthetic updates: time, CPU, memory and traffic of a round, and whether it is exact."`
	Fold  benchFoldCmd  `cmd:"" help:"Speed of averaging: check, add and result."`
	Codec benchCodecCmd `cmd:"" help:"Speed of the wire format: encode, hash, decode, zstd."`
	Peer  benchPeerCmd  `cmd:"" hidden:"" help:"One party of a bench round, told on standard input what to be."`
}

// benchTensor is the only tensor of the models here.
const benchTensor = "weight"

// benchModel returns a model of zeros with n parameters.
func benchModel(n int) (*model.Model, error) {
	schema, err := model.NewSchema(model.Spec{Name: benchTensor, Shape: []int{n}})
	if err != nil {
		return nil, err
	}
	return model.New(schema), nil
}

// benchMachine says on what figures were taken.
type benchMachine struct {
	versionInfo
	CPUs int `json:"cpus"` // that Go uses
}

func thisMachine() benchMachine { return benchMachine{currentVersion(), runtime.GOMAXPROCS(0)} }

// printJSON writes one object on one line.
func printJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(b))
	return err
}
