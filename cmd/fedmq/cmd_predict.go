package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/internal/predict"
	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

type predictCmd struct {
	Model  string            `arg:"" type:"existingfile" help:"Safetensors file of a task's model."`
	Rows   string            `arg:"" optional:"" default:"-" help:"CSV file, plain or gzip, with a header line, or Parquet file; - is standard input."`
	Out    string            `short:"o" default:"-" placeholder:"FILE" help:"CSV file to write, or Parquet file where the name ends in .parquet, replaced as a whole; - is standard output."`
	Site   string            `type:"existingfile" placeholder:"FILE" help:"Configuration of a site: its columns, units, values, missing and format are those of the rows."`
	Column map[string]string `placeholder:"INPUT=COLUMN" help:"Take an input of the model from a column of another name; may be repeated."`
	Unit   map[string]string `placeholder:"INPUT=UNIT" help:"Unit that the rows have an input in, which becomes the model's; may be repeated."`
	Only   bool              `help:"Write the predictions alone, without the columns of the rows."`

	Separator string   `placeholder:"CHAR" help:"What separates cells, or tab; default: as found in the file."`
	Decimal   string   `placeholder:"CHAR" help:"Decimal mark of the file, . or ,; default: as found."`
	Encoding  string   `placeholder:"NAME" help:"Encoding of the file, such as windows-1252; default: as found."`
	Comment   string   `placeholder:"CHAR" help:"Lines that begin with this character are passed over."`
	Missing   []string `placeholder:"TEXT" help:"Further texts that stand for a missing value, such as -999."`
}

func (predictCmd) Help() string {
	return `Applies a model to rows: its file says which inputs it wants, what becomes of them and what
its output means. Writes all columns of the rows, then "predicted", the class or the value in
the unit of the target, and the probability of each class as p_CLASS (score_CLASS where the
model has no probabilities). The rows are read as a site reads them; columns that the model
does not want are passed on as they are. A model of windows predicts from the first full
window of a unit on. Values that lie far outside of what the model was trained on are counted.

  fedmq predict boiler.safetensors rows.csv -o predicted.csv
  fedmq predict boiler.safetensors export.csv --column flow=FLOW_LH --unit flow=l/h --only
  fedmq predict boiler.safetensors export.parquet --site lyon.yaml -o predicted.parquet`
}

func (c *predictCmd) Run(ctx context.Context) error {
	for _, read := range []string{c.Model, c.Rows, c.Site} {
		if sameFile(read, c.Out) {
			return usageError{fmt.Errorf("-o %s: is read too; want another file", c.Out)}
		}
	}
	f, err := openMeantModel(c.Model)
	if err != nil {
		return err
	}
	m, err := tabular.NewPredictor(f.contract, f.model)
	if errors.Is(err, tabular.ErrNoGraph) {
		return fmt.Errorf("%s: %w. Two ways lead on: an ONNX file with the graph of the network "+
			"(fedmq model export %[1]s --onnx OUT --skeleton GRAPH.onnx), or Python (fedmq_trainer.load(%[1]q, net))", c.Model, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Model, err)
	}
	from, format, err := c.sources(f)
	if err != nil {
		return usageError{err}
	}
	t, err := table.Open(anyFile{}, c.Rows, format)
	if err != nil {
		if _, ok := errors.AsType[*table.KeyError](err); ok {
			return usageError{fmt.Errorf("--%w", err)}
		}
		return err
	}
	err = c.predict(ctx, m, t, from, f.threshold)
	return errors.Join(err, t.Close())
}

func (c *predictCmd) predict(ctx context.Context, m *tabular.Predictor, t *table.Table, from map[string]tabular.Column, decide *onnx.Threshold) error {
	p, err := predict.New(m, t, from, c.Only)
	if err != nil {
		return err
	}
	if decide != nil {
		p.Decide(decide.Class, decide.From)
	}
	var seen predict.Seen
	err = writeOutput(c.Out, 0o600, false, func(w io.Writer) error {
		out, err := c.writer(w, p.Columns(), t)
		if err != nil {
			return err
		}
		seen, err = p.Run(ctx, out)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return err
	}
	for _, line := range slices.Concat(t.Notes(), saidOf(seen, m.Pipeline())) {
		fmt.Fprintln(os.Stderr, line)
	}
	return nil
}

// writer writes rows in the form that the name of the output says.
func (c *predictCmd) writer(w io.Writer, columns []predict.Column, like *table.Table) (predict.Writer, error) {
	if strings.EqualFold(filepath.Ext(c.Out), ".parquet") {
		return predict.NewParquet(w, columns), nil
	}
	return predict.NewCSV(w, columns, like)
}

// saidOf says in words what became of the rows.
func saidOf(s predict.Seen, pipe *pipeline.Pipeline) (lines []string) {
	c := pipe.Contract()
	for i, in := range c.Inputs {
		if s.Unknown[i] != "" {
			lines = append(lines, fmt.Sprintf("%s: %.40q is none of its values, %.200q, and counts as missing", in.Name, s.Unknown[i], in.Values))
		}
	}
	for i, n := range s.Missing {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("%s: missing in %d of %d rows", c.Inputs[i].Name, n, s.Rows))
		}
	}
	for j, f := range s.Far {
		if f.Rows > 0 {
			lines = append(lines, fmt.Sprintf("%s: in %d of %d rows more than %d standard deviations from the mean of what the model was trained on, at most %.6g: "+
				"has it another unit (--unit), or stands a number for a missing value (--missing)?", pipe.Features()[j], f.Rows, s.Rows, predict.FarSD, math.Round(math.Abs(f.Most))))
		}
	}
	if s.Empty > 0 {
		lines = append(lines, fmt.Sprintf("%d rows have none of the inputs: what is predicted for them tells nothing", s.Empty))
	}
	switch {
	case s.Without > 0 && c.Window == nil:
		lines = append(lines, fmt.Sprintf("%d rows have no prediction: their values are too large for the model's", s.Without))
	case s.Without > 0:
		lines = append(lines, fmt.Sprintf("%d rows have no prediction: fewer than %d rows of their unit are there up to them", s.Without, c.Window.Rows))
	}
	var by []string
	for _, class := range slices.Sorted(maps.Keys(s.Classes)) {
		by = append(by, fmt.Sprintf("%d %s", s.Classes[class], class))
	}
	total := fmt.Sprintf("%d rows", s.Rows)
	if c.Target.Unit != "" {
		total += ", predicted in " + c.Target.Unit
	}
	if len(by) > 0 {
		total += ": " + strings.Join(by, ", ")
	}
	return append(lines, total)
}

// anyFile opens what the person names, pipes and standard input too.
type anyFile struct{}

func (anyFile) Open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(name)
}

func (anyFile) Glob(string) ([]string, error) { return nil, nil }

// sameFile reports whether two names are of one regular file that is there.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}
