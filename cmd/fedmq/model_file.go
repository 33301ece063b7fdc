package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// modelFile is exactly one of its fields.
type modelFile struct {
	MLP     *archFile `yaml:"mlp"`
	Softmax *archFile `yaml:"softmax"`
	Linear  *archFile `yaml:"linear"`
	File    string    `yaml:"file"`
}

type archFile struct {
	Inputs  int    `yaml:"inputs"`
	Hidden  []int  `yaml:"hidden"`
	Outputs int    `yaml:"outputs"`
	Task    string `yaml:"task"`
	Seed    uint64 `yaml:"seed"`
}

// kinds are the models that the file describes, one if all is well.
func (m modelFile) kinds() iter.Seq2[string, *archFile] {
	return func(yield func(string, *archFile) bool) {
		for _, k := range []struct {
			name string
			of   *archFile
		}{{"mlp", m.MLP}, {"softmax", m.Softmax}, {"linear", m.Linear}} {
			if k.of != nil && !yield(k.name, k.of) {
				return
			}
		}
	}
}

// maxModelFile bounds an initial model in bytes.
const maxModelFile int64 = 4 << 30

// load makes version 0 of the model.
func (m modelFile) load(dir string, zscore, counted bool) (*model.Model, error) {
	var found []string
	arch := model.Arch{}
	for kind, a := range m.kinds() {
		if err := a.voids(kind); err != nil {
			return nil, err
		}
		found = append(found, kind)
		arch = model.Arch{Kind: kind, Inputs: a.Inputs, Hidden: a.Hidden, Outputs: a.Outputs, Task: a.Task, Seed: a.Seed, Counted: counted}
	}
	switch {
	case len(found) > 1 || len(found) == 1 && m.File != "":
		return nil, errors.New("model: want one of mlp, softmax, linear and file")
	case m.File != "":
		return readFirst(at(dir, m.File))
	case len(found) == 0:
		return nil, errors.New("model: missing; want mlp, softmax, linear or file")
	}
	return arch.New(zscore)
}

// balanced reports that the built-in trainer weighs classes: its model has a place for
// their rows.
func (f taskFile) balanced() bool {
	var set struct {
		ClassWeight any `json:"class_weight"`
	}
	return f.Model.File == "" && json.Unmarshal(f.Train.json, &set) == nil && set.ClassWeight != nil
}

// balanceVoid refuses a weight of classes that nobody can know.
func (f taskFile) balanceVoid() error {
	switch {
	case !f.balanced():
	case f.Model.Linear != nil, f.Model.MLP != nil && f.Model.MLP.Task == "regression":
		return errors.New("train: class_weight has no effect: it is for a classification")
	case !f.Statistics.zscore:
		return errors.New("train: class_weight wants statistics: zscore: in that round the sites learn how many rows each class has, over all of them")
	}
	return nil
}

// thresholdVoid refuses a threshold for a model that is not of two classes.
func (m modelFile) thresholdVoid(rule string) error {
	switch {
	case rule == "":
	case m.Linear != nil, m.MLP != nil && m.MLP.Task == "regression":
		return errors.New("threshold has no effect: it is for a classification")
	case m.Softmax != nil && m.Softmax.Outputs != 2, m.MLP != nil && m.MLP.Outputs != 2:
		return errors.New("threshold has no effect: it is for two classes, the model has others")
	}
	return nil
}

// loadModel makes version 0 of the model of a file in dir.
func (f taskFile) loadModel(dir string) (*model.Model, error) {
	if s := f.Statistics.survey(); s != nil {
		m, _, err := s.First()
		return m, err
	}
	return f.Model.load(dir, f.Statistics.zscore, f.balanced())
}

// first is version 0 of the model. Of a task that has begun in the data directory its
// file may be gone: then it is what is written there of the schema, without values.
func (f taskFile) first(dir, data string) (m *model.Model, begun bool, err error) {
	m, err = f.loadModel(dir)
	if f.Model.File == "" || !errors.Is(err, fs.ErrNotExist) {
		return m, false, err
	}
	raw, none := os.ReadFile(filepath.Join(data, "records", f.Name+".json"))
	if none != nil {
		return nil, false, err
	}
	about, err := record.DecodeDescription(raw)
	if err != nil {
		return nil, false, err
	}
	schema, err := about.Layout()
	if err != nil {
		return nil, false, err
	}
	return model.New(schema), true, nil
}

// readFirst reads the model that a federation begins with. Files that were not
// made for fedmq have no rules: integers, such as the counters of a batch norm
// in a state_dict, are kept, as no strategy averages them.
func readFirst(path string) (*model.Model, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe waits for a writer
		return nil, fmt.Errorf("model.file: %s is no regular file", path)
	}
	m, err := model.ReadSafetensorsFile(path, maxModelFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model.file: %w", err)
	}
	if err != nil {
		return nil, err
	}
	for i := range m.Schema { // the model is ours alone
		if s := &m.Schema[i]; s.DType == model.I64 && s.Rule == model.Mean {
			s.Rule = model.Keep
		}
	}
	return m, nil
}
