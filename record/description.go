package record

import (
	"bytes"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// SchemaTask names the document of [Description] (RC-16).
const SchemaTask = "fedmq.task.v1"

// MaxDescription is the most bytes that [DecodeDescription] reads.
const MaxDescription = 4 << 20

// Description is what a task was created with for good: whose it is, and the
// tensors of its model, which no blob and no content id tells. The genesis
// record names its bytes in [Record.OrderHash].
type Description struct {
	Schema     string     `json:"schema"` // SchemaTask; set by Encode
	Owner      string     `json:"owner"`
	Task       string     `json:"task"`
	SchemaHash model.Hash `json:"schema_hash"` // of the tensors; set by Encode
	Tensors    Tensors    `json:"tensors"`     // in schema order
}

// Tensor is one tensor of the model.
type Tensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Rule  string `json:"rule"`
}

// Tensors are a model's schema with its rules.
type Tensors []Tensor

// Describe returns the description of a task.
func Describe(owner, task string, s model.Schema) Description {
	d := Description{Owner: owner, Task: task}
	for _, spec := range s {
		shape := spec.Shape
		if shape == nil {
			shape = []int{}
		}
		d.Tensors = append(d.Tensors, Tensor{spec.Name, spec.DType.String(), shape, spec.Rule.String()})
	}
	return d
}

// Encode returns the canonical bytes. Errors wrap [ErrMalformed].
func (d Description) Encode() ([]byte, error) {
	s, err := d.Layout()
	if err != nil {
		return nil, err
	}
	d = Describe(d.Owner, d.Task, s)
	d.Schema, d.SchemaHash = SchemaTask, s.Hash()
	b, err := compact(d)
	if err == nil && len(b) > MaxDescription {
		err = fmt.Errorf("a description of %d bytes, at most %d", len(b), MaxDescription)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b, nil
}

// DecodeDescription reads exactly what [Description.Encode] would write; other
// bytes give an error that wraps [ErrMalformed].
func DecodeDescription(b []byte) (Description, error) {
	var d Description
	if len(b) > MaxDescription {
		return d, fmt.Errorf("%w: a description of %d bytes, at most %d", ErrMalformed, len(b), MaxDescription)
	}
	if err := strict(b, &d); err != nil {
		return Description{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	again, err := d.Encode()
	if err != nil {
		return Description{}, err
	}
	if !bytes.Equal(again, b) {
		return Description{}, fmt.Errorf("%w: the description is not canonical", ErrMalformed)
	}
	return d, nil
}

// Layout returns the tensors as a schema. Errors wrap [ErrMalformed].
func (d Description) Layout() (model.Schema, error) {
	if !text(d.Owner, 1, maxPath) || !text(d.Task, 1, 64) {
		return nil, fmt.Errorf("%w: owner %.64q, task %.64q", ErrMalformed, d.Owner, d.Task)
	}
	specs := make([]model.Spec, len(d.Tensors))
	for i, t := range d.Tensors {
		dtype, err := model.ParseDType(t.DType)
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %.64q: %w", ErrMalformed, t.Name, err)
		}
		rule, err := model.ParseRule(t.Rule)
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %.64q: %w", ErrMalformed, t.Name, err)
		}
		specs[i] = model.Spec{Name: t.Name, DType: dtype, Shape: t.Shape, Rule: rule}
	}
	s, err := model.NewSchema(specs...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for i, spec := range s {
		if spec.Name != d.Tensors[i].Name {
			return nil, fmt.Errorf("%w: tensor %.64q is not in order of names", ErrMalformed, d.Tensors[i].Name)
		}
	}
	return s, nil
}

// MarshalJSON writes [] for none.
func (t Tensors) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("[]"), nil
	}
	return compact([]Tensor(t))
}

// UnmarshalJSON reads at most [model.MaxTensors] tensors.
func (t *Tensors) UnmarshalJSON(b []byte) (err error) {
	*t, err = list[Tensor](b, model.MaxTensors, "tensors")
	return err
}
