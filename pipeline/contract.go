// Package pipeline says what a model means by its inputs and its output: a
// [Contract], the same at every site of a task and carried with the model. One
// implementation turns a row of a plant's values into what the model reads, for
// training, evaluation, prediction and export.
//
// The package is pure: no files, no network, no clock.
package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a contract.
const (
	MaxJSON    = 96 << 10 // bytes of the canonical JSON: a join has to pass a broker
	MaxInputs  = MaxFeatures
	MaxClasses = 4096
	MaxValues  = 256 // categories of an input
	maxName    = 256 // bytes of a name
	maxWindow  = 100_000
	maxGroup   = 64
)

// ErrContract is wrapped by every error about a contract that cannot be used.
var ErrContract = errors.New("bad contract")

// Contract is what a model means, in the words of the data. Its canonical JSON
// and the SHA-256 of it are the same wherever two contracts say the same.
type Contract struct {
	// Inputs are what a row must bring, in order.
	Inputs []Input `json:"inputs"`
	// Features are what becomes of the inputs, in the order of the model's inputs.
	// Without any, input i is the model's input i as it is.
	Features []Feature `json:"features,omitempty"`
	// Window makes one row of statistics from several rows of a unit.
	Window *Window `json:"window,omitempty"`
	// ZClip limits scaled features to ±ZClip standard deviations; 0: not at all.
	ZClip float64 `json:"zclip,omitempty"`
	// Target is what the model gives back.
	Target Target `json:"target"`
	// Net says how the tensors become an output.
	Net Net `json:"net"`
}

// Input is one value of a row.
type Input struct {
	Name string `json:"name"`
	// Unit is the unit that the model reads; a site may have another (see Convert).
	Unit string `json:"unit,omitempty"`
	// Values are the texts of an input that is no number, in the order of its
	// one-hot features. A text that is none of them is missing.
	Values []string `json:"values,omitempty"`
}

// Feature is what becomes of one input: clipped first, then one of the two
// logarithms; a flag behind it. An input with Values becomes one feature a value,
// 1 where the row has it, and has none of the transformations but MissingFlag.
type Feature struct {
	Of          string  `json:"of"`                     // name of an input
	Clip        float64 `json:"clip,omitempty"`         // to ±Clip; 0: not at all
	SLog        float64 `json:"slog,omitempty"`         // sign(v)·log10(1 + |v|/SLog)
	Log1p       bool    `json:"log1p,omitempty"`        // ln(1 + v)
	MissingFlag bool    `json:"missing_flag,omitempty"` // one more feature, 1 where the value is missing
}

// Window computes statistics over the last Rows rows of a unit.
type Window struct {
	Group []string `json:"group"`           // columns that name a unit
	Order string   `json:"order,omitempty"` // column that orders its rows
	Rows  int      `json:"rows"`
	Stats []string `json:"stats"` // mean, mean<k>, slope: for each, all features
}

// Target is what the model gives back.
type Target struct {
	Name string `json:"name"`
	// Classes makes this a classification; output i belongs to Classes[i].
	Classes []string `json:"classes,omitempty"`
	Unit    string   `json:"unit,omitempty"` // of a regression
	// The model learns (y − Offset) / Scale; Scale 0 counts as 1.
	Offset float64 `json:"offset,omitempty"`
	Scale  float64 `json:"scale,omitempty"`
	// RowsLeft > 0: the target is how many rows a unit has left, at most so many; the
	// model learns their share of RowsLeft, and its output is limited to 0..1.
	RowsLeft float64 `json:"rows_left,omitempty"`
}

// Names of the tensors and outputs of a [Net].
const (
	TensorsLayers = "layers"
	TensorsCoef   = "coef"

	OutputIdentity = "identity" // regression: the output is the scaled target
	OutputSoftmax  = "softmax"  // one output a class
	OutputLogistic = "logistic" // one output of two classes: the probability of the second
	OutputOVR      = "ovr"      // one logistic output a class, divided by their sum
	OutputMargin   = "margin"   // as logistic (of two classes) or ovr, without probabilities: the largest wins
	OutputNone     = "none"     // nothing: a task that gathers statistics of the features has no target
)

// Net says how the tensors of a model become its output.
type Net struct {
	// Tensors is layers (layers.<i>.weight and .bias), coef (coef and intercept) or
	// none of these, for a network that only its own program knows.
	Tensors    string `json:"tensors,omitempty"`
	Activation string `json:"activation,omitempty"` // between layers: relu (also ""), tanh, logistic, identity
	Output     string `json:"output"`               // see OutputIdentity and the others
}

// JSON returns the canonical bytes, which [Parse] reads.
func (c *Contract) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil { // only for numbers that are not finite, which Validate refuses
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Travels returns an error, wrapping [ErrContract], for a contract that is too long to be
// told to anybody. It can be worked by all the same.
func (c *Contract) Travels() error { return travels(len(c.JSON())) }

func travels(n int) error {
	if n > MaxJSON {
		return fmt.Errorf("%w: %d bytes, want at most %d", ErrContract, n, MaxJSON)
	}
	return nil
}

// Hash is the SHA-256 of the canonical JSON.
func (c *Contract) Hash() [32]byte { return sha256.Sum256(c.JSON()) }

// Parse reads the canonical bytes of a contract. Errors wrap [ErrContract].
func Parse(b []byte) (*Contract, error) {
	c, err := Read(b)
	if err == nil && !bytes.Equal(c.JSON(), b) {
		return nil, fmt.Errorf("%w: the JSON is not canonical", ErrContract)
	}
	return c, err
}

// Read reads a contract that a program wrote, its members in any order. Errors wrap
// [ErrContract].
func Read(b []byte) (*Contract, error) {
	if err := travels(len(b)); err != nil {
		return nil, err
	}
	var c Contract
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContract, err)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Validate returns an error for the first thing that cannot be used, wrapping
// [ErrContract] and naming its place.
func (c *Contract) Validate() error {
	if len(c.Inputs) == 0 || len(c.Inputs) > MaxInputs {
		return bad("inputs", "want 1 to %d, not %d", MaxInputs, len(c.Inputs))
	}
	names := make(map[string]bool, len(c.Inputs)) // whether its values are texts
	for i, in := range c.Inputs {
		if err := in.validate(); err != nil {
			return bad(fmt.Sprintf("inputs[%d]", i), "%v", err)
		}
		if _, twice := names[in.Name]; twice {
			return bad(fmt.Sprintf("inputs[%d]", i), "%q is there twice", in.Name)
		}
		names[in.Name] = in.Values != nil
	}
	for i, f := range c.Features {
		text, ok := names[f.Of]
		if !ok {
			return bad(fmt.Sprintf("features[%d].of", i), "%q is no input", f.Of)
		}
		if err := f.validate(text, c.Window != nil); err != nil {
			return bad(fmt.Sprintf("features[%d]", i), "%v", err)
		}
	}
	if !(c.ZClip >= 0) || math.IsInf(c.ZClip, 0) {
		return bad("zclip", "want 0 or more, not %v", c.ZClip)
	}
	if err := c.Window.validate(); err != nil {
		return bad("window", "%v", err)
	}
	if c.Net.Output == OutputNone {
		return c.validateNone()
	}
	if err := c.Target.validate(); err != nil {
		return err
	}
	return c.Net.validate(c.Target)
}

// validateNone looks at a contract of features alone.
func (c *Contract) validateNone() error {
	if c.Target.Name != "" || c.Target.Classes != nil || c.Target.Unit != "" || c.Target.Offset != 0 || c.Target.Scale != 0 || c.Target.RowsLeft != 0 {
		return bad("target", "want none with net.output %s", OutputNone)
	}
	if c.ZClip != 0 || c.Net != (Net{Output: OutputNone}) {
		return bad("net", "want nothing but output with output %s, and no zclip", OutputNone)
	}
	return nil
}

// Predicts reports that a model of the contract gives something back.
func (c *Contract) Predicts() bool { return c.Net.Output != OutputNone }

func (in Input) validate() error {
	if err := checkName(in.Name); err != nil {
		return err
	}
	if in.Values == nil {
		return nil
	}
	if in.Unit != "" {
		return errors.New("want unit or values: a text has no unit")
	}
	return checkTexts("values", in.Values, 1, MaxValues)
}

func (f Feature) validate(text, window bool) error {
	switch {
	case !(f.Clip >= 0) || math.IsInf(f.Clip, 0) || !(f.SLog >= 0) || math.IsInf(f.SLog, 0) || f.SLog > 0 && f.Log1p:
		return errors.New("want clip and slog of 0 or more, and one logarithm at most")
	case text && (f.Clip > 0 || f.SLog > 0 || f.Log1p):
		return fmt.Errorf("%q has values: want no clip and no logarithm", f.Of)
	case window && f.MissingFlag:
		return errors.New("want missing_flag or a window")
	}
	return nil
}

func (w *Window) validate() error {
	if w == nil {
		return nil
	}
	if w.Rows < 1 || w.Rows > maxWindow || len(w.Stats) == 0 {
		return fmt.Errorf("want stats and 1 to %d rows", maxWindow)
	}
	if err := checkTexts("group", w.Group, 1, maxGroup); err != nil {
		return err
	}
	for _, name := range w.Stats {
		if err := CheckStat(name, w.Rows); err != nil {
			return fmt.Errorf("stats: %w", err)
		}
	}
	return nil
}

func (t Target) validate() error {
	if err := checkName(t.Name); err != nil {
		return bad("target.name", "%v", err)
	}
	if !(t.Scale >= 0) || math.IsInf(t.Scale, 0) || math.IsNaN(t.Offset) || math.IsInf(t.Offset, 0) || !(t.RowsLeft >= 0) || math.IsInf(t.RowsLeft, 0) {
		return bad("target", "want finite numbers, scale and rows_left of 0 or more")
	}
	if t.Classes == nil {
		return nil
	}
	if t.Unit != "" || t.Scale != 0 || t.Offset != 0 || t.RowsLeft != 0 {
		return bad("target", "classes have no unit, offset, scale or rows_left")
	}
	if err := checkTexts("classes", t.Classes, 2, MaxClasses); err != nil {
		return bad("target", "%v", err)
	}
	return nil
}

func (n Net) validate(t Target) error {
	if !slices.Contains([]string{"", TensorsLayers, TensorsCoef}, n.Tensors) {
		return bad("net.tensors", "%q, want %s or %s", n.Tensors, TensorsLayers, TensorsCoef)
	}
	if !slices.Contains([]string{"", "relu", "tanh", "logistic", "identity"}, n.Activation) {
		return bad("net.activation", "%q, want relu, tanh, logistic or identity", n.Activation)
	}
	want := []string{OutputIdentity}
	switch {
	case t.Classes == nil:
	case len(t.Classes) == 2:
		want = []string{OutputSoftmax, OutputLogistic, OutputMargin}
	default:
		want = []string{OutputSoftmax, OutputOVR, OutputMargin}
	}
	if !slices.Contains(want, n.Output) {
		return bad("net.output", "%q, want %s", n.Output, strings.Join(want, " or "))
	}
	return nil
}

func checkName(s string) error {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return fmt.Errorf("%.40q, want a name of 1 to %d bytes of UTF-8", s, maxName)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%.40q has a control character, want a name that can be shown", s)
	}
	return nil
}

func checkTexts(what string, list []string, least, most int) error {
	if len(list) < least || len(list) > most {
		return fmt.Errorf("%s: want %d to %d, not %d", what, least, most, len(list))
	}
	there := make(map[string]bool, len(list))
	for i, s := range list {
		if err := checkName(s); err != nil {
			return fmt.Errorf("%s[%d]: %w", what, i, err)
		}
		if there[s] {
			return fmt.Errorf("%s[%d]: %q is there twice", what, i, s)
		}
		there[s] = true
	}
	return nil
}

func bad(place, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrContract, place, fmt.Sprintf(format, args...))
}
