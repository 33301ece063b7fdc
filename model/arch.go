package model

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Names of the tensors that a statistics round fills: those of a z-score, f64 of shape
// [inputs], and the training rows of each class, f64 of shape [classes].
const (
	ZMeanName     = "fedmq.mean"
	ZSDName       = "fedmq.sd"
	ClassRowsName = "fedmq.class_rows"
)

// IsStatistic reports a tensor that a statistics round fills.
func IsStatistic(name string) bool {
	return name == ZMeanName || name == ZSDName || name == ClassRowsName
}

// WeightName and BiasName return the names of layer i's tensors, from 0: the
// weights f32 [out, in] and the bias f32 [out], as PyTorch lays them out.
func WeightName(i int) string { return "layers." + strconv.Itoa(i) + ".weight" }

// BiasName returns the name of layer i's bias, f32 [out].
func BiasName(i int) string { return "layers." + strconv.Itoa(i) + ".bias" }

// ErrArch is wrapped by every error about an unusable architecture.
var ErrArch = errors.New("model: bad architecture")

// maxElements bounds a built-in model (4 GiB of f32).
const maxElements = 1 << 30

// Arch is a built-in architecture: dense layers with ReLU between them.
type Arch struct {
	Kind    string // "mlp", "softmax" (one layer, classification) or "linear" (one layer, regression)
	Inputs  int    // features, >= 1
	Hidden  []int  // mlp only: 1 to 16 widths, each >= 1
	Outputs int    // classes (>= 2) or predicted values (>= 1)
	Task    string // "regression" or "classification"; may be empty where Kind says it
	Seed    uint64 // of the initial weights (mlp only)
	Counted bool   // a classification with fedmq.class_rows, zeros at first
}

// Validate reports the first thing that is wrong, wrapping [ErrArch].
func (a Arch) Validate() error {
	task := a.TaskKind()
	switch a.Kind {
	case "mlp":
		if len(a.Hidden) < 1 || len(a.Hidden) > 16 {
			return fmt.Errorf("%w: mlp has %d hidden layers, want 1 to 16", ErrArch, len(a.Hidden))
		}
	case "softmax", "linear":
		if len(a.Hidden) != 0 {
			return fmt.Errorf("%w: %s has no hidden layers", ErrArch, a.Kind)
		}
		if want := (Arch{Kind: a.Kind}).TaskKind(); task != want {
			return fmt.Errorf("%w: %s is for %s, not %q", ErrArch, a.Kind, want, task)
		}
	default:
		return fmt.Errorf("%w: unknown kind %.32q, want mlp, softmax or linear", ErrArch, a.Kind)
	}
	if task != "regression" && task != "classification" {
		return fmt.Errorf("%w: task %.32q, want regression or classification", ErrArch, task)
	}
	if task == "classification" && a.Outputs < 2 {
		return fmt.Errorf("%w: %d classes, want at least 2", ErrArch, a.Outputs)
	}
	return checkWidths(a.Layers())
}

// TaskKind returns Task, or what the kind implies where Task is empty.
func (a Arch) TaskKind() string {
	switch {
	case a.Task == "" && a.Kind == "softmax":
		return "classification"
	case a.Task == "" && a.Kind == "linear":
		return "regression"
	}
	return a.Task
}

func checkWidths(widths []int) error {
	total := 0
	for i, n := range widths {
		if n < 1 || n > 1<<24 {
			return fmt.Errorf("%w: width %d of layer %d, want 1 to %d", ErrArch, n, i, 1<<24)
		}
		if i > 0 {
			total += n * (widths[i-1] + 1)
		}
		if total > maxElements {
			return fmt.Errorf("%w: more than %d parameters", ErrArch, maxElements)
		}
	}
	return nil
}

// Layers returns the widths from the inputs to the outputs.
func (a Arch) Layers() []int {
	w := append(make([]int, 0, len(a.Hidden)+2), a.Inputs)
	w = append(w, a.Hidden...)
	return append(w, a.Outputs)
}

// New returns the initial model: for an mlp He-normal weights (variance 2 over
// the inputs of the layer, https://arxiv.org/abs/1502.01852) and biases of zero,
// else zeros. zscore adds fedmq.mean = 0 and fedmq.sd = 1, which stay at the
// aggregator's values (rule [Keep]). The same Arch gives the same bits on every CPU.
func (a Arch) New(zscore bool) (*Model, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	widths := a.Layers()
	var specs []Spec
	for i, out := range widths[1:] {
		specs = append(specs,
			Spec{Name: WeightName(i), Shape: []int{out, widths[i]}},
			Spec{Name: BiasName(i), Shape: []int{out}})
	}
	if zscore {
		specs = append(specs,
			Spec{Name: ZMeanName, DType: F64, Shape: []int{a.Inputs}, Rule: Keep},
			Spec{Name: ZSDName, DType: F64, Shape: []int{a.Inputs}, Rule: Keep})
	}
	if a.Counted && a.TaskKind() == "classification" {
		specs = append(specs, Spec{Name: ClassRowsName, DType: F64, Shape: []int{a.Outputs}, Rule: Keep})
	}
	schema, err := NewSchema(specs...)
	if err != nil {
		return nil, err
	}
	m := New(schema)
	if zscore {
		sd := m.Bytes(ZSDName)
		for i := 0; i < len(sd); i += 8 {
			binary.LittleEndian.PutUint64(sd[i:], math.Float64bits(1))
		}
	}
	if a.Kind == "mlp" {
		for i := range widths[1:] {
			heInit(m.Bytes(WeightName(i)), widths[i], a.Seed, i)
		}
	}
	return m, nil
}

// heInit fills dst with f32 draws of variance 2/in. The generator of a layer is
// ChaCha8 keyed with SHA-256("fedmq/init/v1" || u64le seed || u32le layer).
func heInit(dst []byte, in int, seed uint64, layer int) {
	key := binary.LittleEndian.AppendUint64([]byte("fedmq/init/v1"), seed)
	key = binary.LittleEndian.AppendUint32(key, uint32(layer)) // at most 17 layers
	rng := rand.NewChaCha8(sha256.Sum256(key))
	sd := math.Sqrt(2 / float64(in))
	for i := 0; i < len(dst); i += 4 {
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(float32(float64(normal(rng)*sd))))
	}
}

// normal draws from the Irwin-Hall distribution of 12 uniforms: mean 0,
// variance 1, bounded by 6, and close to a normal distribution (excess kurtosis
// -0.1). It needs integers and one division only, where the usual methods take
// logarithms, whose last bit depends on the CPU.
func normal(rng *rand.ChaCha8) float64 {
	var sum int64
	for range 6 {
		u := rng.Uint64()
		sum += int64(u>>32) + int64(u&math.MaxUint32) // 32 bits each
	}
	return float64(sum-6*math.MaxUint32) / (1 << 32)
}
