package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
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
	Source  string     `json:"source"` // file or topic
	Owner   string     `json:"owner,omitempty"`
	Task    string     `json:"task,omitempty"`
	Version *uint64    `json:"version,omitempty"` // where it is known
	Epoch   *uint64    `json:"epoch,omitempty"`
	Content model.Hash `json:"content"`
	Schema  model.Hash `json:"schema"`
	Bytes   int        `json:"bytes"`
	Values  int        `json:"values"`
	Parts   int        `json:"parts,omitempty"` // on the broker; 0: inline

	Contract json.RawMessage `json:"contract,omitempty"` // what its inputs and output mean
	About    json.RawMessage `json:"about,omitempty"`    // where it is from: task, version, metrics

	Tensors []wire.TensorView `json:"tensors"`

	gathered *gathered // of a task of statistics
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
		v.Owner, v.Task, v.Version, v.Epoch, v.Parts, v.Contract = h.Sender, h.Task, &h.Round, &h.Epoch, got.Parts, got.Contract
		meta, err := aboutOf(got).metadata(h.Epoch, nil)
		v.About = asJSON(meta[onnx.MetaAbout])
		return errors.Join(err, v.gather(got.Model))
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
	v.Contract = asJSON(meta[onnx.MetaContract])
	if err := v.gather(m); err != nil {
		return nil, err
	}
	if meta[metaContent] != v.Content.String() {
		return v, nil
	}
	v.About = asJSON(meta[onnx.MetaAbout])
	v.Owner, v.Task = meta[metaOwner], meta[metaTask]
	if n, err := strconv.ParseUint(meta[metaVersion], 10, 64); err == nil {
		v.Version = &n
	}
	if n, err := strconv.ParseUint(meta[metaEpoch], 10, 64); err == nil {
		v.Epoch = &n
	}
	return v, nil
}

// gather reads what a task of statistics has gathered: its sites are known by the index
// that records give them.
func (v *modelView) gather(m *model.Model) error {
	c, err := pipeline.Read(v.Contract)
	if err != nil {
		return nil //nolint:nilerr // a model without a contract, or with that of another version
	}
	g, ok, err := gatheredOf(m, c, memberBy(nil))
	if ok {
		v.gathered = &g
	}
	return err
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
	fmt.Fprintf(w, "size     %d values, %d bytes\n", v.Values, v.Bytes)
	if v.gathered != nil {
		fmt.Fprintln(w)
		return errors.Join(v.gathered.table(w), v.gathered.unnamed(w))
	}
	v.printMeaning(w)
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "tensor\tdtype\tshape\trule\tmin\tmax\tmean\tnot finite")
	for _, t := range v.Tensors {
		fmt.Fprintf(tw, "%s\t%s\t%v\t%s\t%s\t%s\t%s\t%d\n", t.Name, t.DType, t.Shape, t.Rule, value(t.Min), value(t.Max), value(t.Mean), t.NotFinite)
	}
	return tw.Flush()
}

// mostInputs are printed of a model.
const mostInputs = 20

// asJSON is a text of the metadata, nil if it is none.
func asJSON(text string) json.RawMessage {
	if !json.Valid([]byte(text)) {
		return nil
	}
	return json.RawMessage(text)
}

// printMeaning writes what inputs and output mean, and the metrics.
func (v *modelView) printMeaning(w io.Writer) {
	if c, err := pipeline.Read(v.Contract); v.Contract != nil && err == nil {
		for i, in := range c.Inputs {
			if i == mostInputs {
				fmt.Fprintf(w, "         and %d more\n", len(c.Inputs)-i)
				break
			}
			text := in.Name
			switch {
			case in.Unit != "":
				text += " in " + in.Unit
			case in.Values != nil:
				text += ": " + pipeline.List(in.Values)
			}
			fmt.Fprintf(w, "%-8s %s\n", map[bool]string{true: "inputs"}[i == 0], text)
		}
		target := c.Target.Name
		switch {
		case c.Target.Classes != nil:
			target += ": " + pipeline.List(c.Target.Classes)
		case c.Target.Unit != "":
			target += " in " + c.Target.Unit
		}
		fmt.Fprintf(w, "target   %s\n", target)
	}
	var from about
	if json.Unmarshal(v.About, &from) == nil {
		if b := from.Best; b != nil {
			fmt.Fprintf(w, "best     of all versions, by %s: %s\n", b.Metric, strconv.FormatFloat(b.Value, 'g', 6, 64))
		}
		if text := from.locals(); text != "" {
			fmt.Fprintf(w, "local    %s\n", text)
		}
		if text := from.threshold(); text != "" {
			fmt.Fprintf(w, "threshold %s\n", text)
		}
		for i, name := range slices.Sorted(maps.Keys(from.Metrics)) {
			fmt.Fprintf(w, "%-8s %s %s\n", map[bool]string{true: "metrics"}[i == 0], name, strconv.FormatFloat(float64(from.Metrics[name]), 'g', 6, 64))
		}
	}
}

func value(x *float64) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(*x, 'g', 6, 64)
}
