package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

type modelExportCmd struct {
	File     string `arg:"" type:"existingfile" help:"Safetensors file of a task's model."`
	ONNX     string `name:"onnx" required:"" placeholder:"FILE" help:"ONNX file to write, replaced as a whole; - is standard output."`
	Skeleton string `type:"existingfile" placeholder:"FILE" help:"ONNX file with the graph of the network, in which the initializers of the same names are replaced: for models of PyTorch and other programs."`
}

func (modelExportCmd) Help() string {
	return `Writes an ONNX file (opset 17, ai.onnx.ml 3) that takes rows as they are and gives the class
or the value: missing values, transformations, scaling and classes are in the graph. Its
inputs are columns [rows, 1] with the names of the model's contract, numbers as double with
NaN for missing, texts as string.
A file without the tensors that each site keeps for itself is refused: fedmq model get --own.

  fedmq model export boiler.safetensors --onnx boiler.onnx
  fedmq model export vision.safetensors --onnx vision.onnx --skeleton net.onnx`
}

func (c *modelExportCmd) Run() error {
	f, err := openMeantModel(c.File)
	if err != nil {
		return err
	}
	told := beside(c.ONNX)
	b, err := c.graph(f, told)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := writeOutput(c.ONNX, 0o600, false, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
		return err
	}
	fmt.Fprintf(told, "%s: %d bytes, opset 17, ai.onnx.ml 3\n", c.ONNX, len(b))
	return nil
}

func (c *modelExportCmd) graph(f *meantModel, told io.Writer) ([]byte, error) {
	if c.Skeleton == "" {
		b, err := onnx.Export(f.contract, f.model, f.about, f.threshold)
		if errors.Is(err, onnx.ErrNoGraph) {
			err = fmt.Errorf("%w; give its graph, for instance from torch.onnx.export, with --skeleton", err)
		}
		return b, err
	}
	skeleton, err := os.ReadFile(c.Skeleton)
	if err != nil {
		return nil, err
	}
	b, left, err := onnx.Fill(skeleton, f.contract, f.model, f.about)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Skeleton, err)
	}
	for _, name := range left {
		fmt.Fprintf(told, "%s is a counter that the graph does not have\n", name)
	}
	return b, nil
}

// meantModel is a model with what its file says about it.
type meantModel struct {
	model    *model.Model
	contract *pipeline.Contract
	about    string // JSON; "" where the file has none
	task     string // that it says it is of; "" where it does not

	threshold *onnx.Threshold // nil: the likeliest class
}

// openMeantModel reads a file that says what its inputs mean.
func openMeantModel(path string) (*meantModel, error) {
	meta, err := model.ReadSafetensorsMetadata(path)
	if err != nil {
		return nil, err
	}
	raw, ok := meta[onnx.MetaContract]
	if !ok {
		return nil, fmt.Errorf("%s: its metadata has no %s, which says what the inputs are: "+
			"want a file that an aggregator of this version or fedmq model get has written", path, onnx.MetaContract)
	}
	f := &meantModel{about: meta[onnx.MetaAbout]}
	if f.contract, err = pipeline.Parse([]byte(raw)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !f.contract.Predicts() {
		return nil, fmt.Errorf("%s: its task gathers statistics, it predicts nothing; fedmq model show %[1]s prints them", path)
	}
	from, err := readAbout(f.about)
	if err == nil {
		f.threshold, err = from.decides(f.contract.Target.Classes)
	}
	if err := cmp.Or(err, from.whole()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.task = from.Task
	if f.model, err = model.ReadSafetensorsFile(path, maxModelFile); err != nil {
		return nil, err
	}
	return f, f.model.Check()
}
