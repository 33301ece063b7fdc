package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
)

// Metadata of a safetensors file that holds a task's model.
const (
	metaTask    = "fedmq.task"
	metaOwner   = "fedmq.owner"
	metaVersion = "fedmq.version"
	metaEpoch   = "fedmq.epoch"
	metaContent = "fedmq.content"
)

// about is what a model's file says of itself, as JSON under fedmq.about. What is not
// known is left out: from the broker that is all but the first four.
type about struct {
	Task    string     `json:"task"`
	Owner   string     `json:"owner"`
	Version uint64     `json:"version"`
	Content model.Hash `json:"content"`

	Round     int                      `json:"round,omitempty"`     // of training: how many were committed up to it
	Metrics   map[string]record.Number `json:"metrics,omitempty"`   // of this model, over all sites
	Threshold *record.Number           `json:"threshold,omitempty"` // from which probability on a row is of ThresholdClass
	Class     string                   `json:"threshold_class,omitempty"`
	Precision *record.Number           `json:"threshold_precision,omitempty"` // of the rows that the threshold takes for the class
	Recall    *record.Number           `json:"threshold_recall,omitempty"`    // of the rows of the class
	Best      *bestBy                  `json:"best,omitempty"`                // it is the version that did best
	Local     []string                 `json:"local,omitempty"`               // tensors that stay at the sites, each of which has its own
	Own       string                   `json:"own,omitempty"`                 // node of the site whose are in the file; none: those that the task began with

	Personal *site.Compared `json:"personal,omitempty"` // the site of own has trained this version for itself; nil: it is no such model
}

// bestBy says by what a version is the best.
type bestBy struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
}

// threshold says what the threshold is and makes of the rows, "" without one.
func (a about) threshold() string {
	if a.Threshold == nil {
		return ""
	}
	text := fmt.Sprintf("%.4g or more is %s", float64(*a.Threshold), a.Class)
	if a.Precision != nil && a.Recall != nil {
		text += fmt.Sprintf(": precision %.3f, recall %.3f", float64(*a.Precision), float64(*a.Recall))
	}
	return text
}

// metadata is what stands in the file, whoever writes it.
func (a about) metadata(epoch uint64, contract []byte) (map[string]string, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	meta := map[string]string{
		metaTask: a.Task, metaOwner: a.Owner, metaVersion: strconv.FormatUint(a.Version, 10),
		metaEpoch: strconv.FormatUint(epoch, 10), metaContent: a.Content.String(), onnx.MetaAbout: string(text),
	}
	if len(contract) > 0 {
		meta[onnx.MetaContract] = string(contract)
	}
	return meta, nil
}

// readAbout reads what a file says of itself, "" for nothing.
func readAbout(text string) (a about, err error) {
	if text == "" {
		return a, nil
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, fmt.Errorf("metadata %s: %w", onnx.MetaAbout, err)
	}
	return a, nil
}

// decides says from which probability on a row is of a class; nil: the likeliest class
// it is.
func (a about) decides(classes []string) (*onnx.Threshold, error) {
	if a.Threshold == nil {
		return nil, nil
	}
	class := slices.Index(classes, a.Class)
	if class < 0 || len(classes) != 2 {
		return nil, fmt.Errorf("metadata %s: a threshold for %q, want one of two classes, not of %q", onnx.MetaAbout, a.Class, classes)
	}
	if !(*a.Threshold >= 0 && *a.Threshold <= 1) {
		return nil, fmt.Errorf("metadata %s: a threshold of %v, want a probability, 0 to 1", onnx.MetaAbout, float64(*a.Threshold))
	}
	return &onnx.Threshold{Class: class, From: float64(*a.Threshold)}, nil
}

// aboutOf is what is known of a model from the broker.
func aboutOf(m *follow.Model) about {
	return about{Task: m.Header.Task, Owner: m.Header.Sender, Version: m.Header.Round, Content: m.Header.Base, Local: staysIn(m)}
}

// staysIn are the tensors of a model from the broker that stay at the sites. Its message
// says their rule alone: in a network that its contract describes nothing else has that
// rule; those of programs have constants with it, so that nothing is said of them.
func staysIn(m *follow.Model) (names []string) {
	c, err := pipeline.Read(m.Contract)
	if err != nil || c.Net.Tensors == "" {
		return nil
	}
	for _, spec := range m.Model.Schema {
		if spec.Rule == model.Keep && !model.IsStatistic(spec.Name) && !model.IsControl(spec.Name) {
			names = append(names, spec.Name)
		}
	}
	return names
}

// metadataAt is that of the model after recs[i], as an aggregator's directory has it.
func metadataAt(st *round.State, recs []record.Record, i int) (map[string]string, error) {
	return aboutAt(st, recs, i).metadata(recs[i].Epoch, contractText(st))
}

// contractText is canonical JSON, nil where there is none.
func contractText(st *round.State) []byte {
	if c := contractIn(st); c != nil {
		return c.JSON()
	}
	return nil
}

// aboutAt is what is known of the model after recs[i].
func aboutAt(st *round.State, recs []record.Record, i int) about {
	c, r := contractIn(st), recs[i]
	a := about{Task: r.Task, Owner: r.Owner, Version: r.Version, Content: r.Model, Round: (&taskRun{Records: recs[:i+1]}).rounds()}
	for _, x := range recs { // the last word counts
		if x.Base == r.Model && len(x.Metrics) > 0 {
			a.judge(x, c)
		}
	}
	if b := bestIn(recs); b != nil && b.Version == r.Version {
		a.Best = &bestBy{b.Metric, b.Value}
	}
	if st != nil {
		a.Local = st.Stays
	}
	return a
}

// judge takes what a record says of the model that it judges.
func (a *about) judge(r record.Record, c *pipeline.Contract) {
	a.Metrics = make(map[string]record.Number, len(r.Metrics))
	for name, m := range r.Metrics {
		a.Metrics[name] = m.Value
	}
	a.Threshold, a.Class, a.Precision, a.Recall = nil, "", nil, nil
	if t := r.Threshold; t != nil && c != nil && t.Class < len(c.Target.Classes) {
		a.Threshold, a.Class, a.Precision, a.Recall = &t.Value, c.Target.Classes[t.Class], &t.Precision, &t.Recall
	}
}

// contractIn is what all sites of a task mean by its model; nil if that is not known.
func contractIn(st *round.State) *pipeline.Contract {
	if st == nil || st.Contract == nil {
		return nil
	}
	return st.Contract.Contract
}
