package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

type modelShowCmd struct {
	File string `arg:"" optional:"" help:"Safetensors file; without one, the model of --task on the broker."`
	readFlags
	JSON bool `help:"Print one JSON object."`
}

func (modelShowCmd) Help() string {
	return `Shows content id and version, and of every tensor its type, shape, rule, least, greatest and mean value.

  fedmq model show quality.safetensors
  fedmq model show -n acme -t quality --json`
}

// modelView is a model for people and programs.
type modelView struct {
	Source  string            `json:"source"` // file or topic
	Owner   string            `json:"owner,omitempty"`
	Task    string            `json:"task,omitempty"`
	Version *uint64           `json:"version,omitempty"` // where it is known
	Epoch   *uint64           `json:"epoch,omitempty"`
	Content model.Hash        `json:"content"`
	Schema  model.Hash        `json:"schema"`
	Bytes   int               `json:"bytes"`
	Values  int               `json:"values"`
	Parts   int               `json:"parts,omitempty"` // on the broker; 0: inline
	Tensors []wire.TensorView `json:"tensors"`
}

func (c *modelShowCmd) Run(ctx context.Context, logs *logFlags) error {
	v, err := c.view(ctx, logs)
	if err != nil {
		return err
	}
	if c.JSON {
		return indented(stdout).Encode(v)
	}
	return v.print(stdout)
}

func (c *modelShowCmd) view(ctx context.Context, logs *logFlags) (*modelView, error) {
	if c.File != "" {
		return viewFile(c.File)
	}
	var v *modelView
	err := c.follow(ctx, logs.quiet(), func(f *follower) error {
		got, err := f.next(ctx, c.Timeout)
		if err != nil {
			return err
		}
		h := got.Header
		v = viewModel(h.Topic, got.Model)
		v.Owner, v.Task, v.Version, v.Epoch, v.Parts = h.Sender, h.Task, &h.Round, &h.Epoch, got.Parts
		return nil
	})
	return v, err
}

func viewModel(source string, m *model.Model) *modelView {
	return &modelView{
		Source: source, Content: m.ContentID(), Schema: m.Schema.Hash(), Bytes: len(m.Blob), Values: m.Schema.Elements(),
		Tensors: wire.ViewTensors(m, true),
	}
}

// viewFile shows a file; what its metadata says about where it came from holds
// only while its content id is that of its values.
func viewFile(path string) (*modelView, error) {
	m, err := model.ReadSafetensorsFile(path, maxModelFile)
	if err != nil {
		return nil, err
	}
	meta, err := model.ReadSafetensorsMetadata(path)
	if err != nil {
		return nil, err
	}
	v := viewModel(path, m)
	if meta[metaContent] != v.Content.String() {
		return v, nil
	}
	v.Owner, v.Task = meta[metaOwner], meta[metaTask]
	if n, err := strconv.ParseUint(meta[metaVersion], 10, 64); err == nil {
		v.Version = &n
	}
	if n, err := strconv.ParseUint(meta[metaEpoch], 10, 64); err == nil {
		v.Epoch = &n
	}
	return v, nil
}

// print writes the table.
func (v *modelView) print(w io.Writer) error {
	fmt.Fprintln(w, "source  ", v.Source)
	if v.Task != "" {
		fmt.Fprintf(w, "task     %s of %s\n", v.Task, v.Owner)
	}
	if v.Version != nil {
		fmt.Fprintf(w, "version  %d\n", *v.Version)
	}
	fmt.Fprintln(w, "content ", v.Content)
	fmt.Fprintf(w, "size     %d values, %d bytes\n\n", v.Values, v.Bytes)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "tensor\tdtype\tshape\trule\tmin\tmax\tmean\tnot finite")
	for _, t := range v.Tensors {
		fmt.Fprintf(tw, "%s\t%s\t%v\t%s\t%s\t%s\t%s\t%d\n", t.Name, t.DType, t.Shape, t.Rule, value(t.Min), value(t.Max), value(t.Mean), t.NotFinite)
	}
	return tw.Flush()
}

func value(x *float64) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(*x, 'g', 6, 64)
}
