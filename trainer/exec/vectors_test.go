package exec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

type vectors struct {
	Requests []struct {
		ID      string
		Fields  request
		Line    string
		Environ map[string]string
	}
	Replies []struct {
		ID, Line, Refused, Before string
		Reply                     json.RawMessage
		Text, Canonical           bool
	}
	Files []struct {
		ID       string
		Metadata map[string]string
		Tensors  []struct {
			Name, DType, Data, Rule string
			Shape                   []int
		}
		Hex string
	}
	FilesRefused []struct{ ID, Hex string } `json:"files_refused"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/trainer/trainer.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Requests) < 6 || len(v.Replies) < 30 || len(v.Files) < 4 || len(v.FilesRefused) < 10 {
		t.Fatal("vectors are missing")
	}
	return v
}

func TestRequestVectors(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Requests {
		if len(c.Fields.Settings) > 0 {
			tr := &Trainer{nextID: c.Fields.ID - 1}
			job := trainer.Job{Task: c.Fields.Task, Member: c.Fields.Member, Round: c.Fields.Round, Attempt: c.Fields.Attempt, Settings: c.Fields.Settings, Needs: c.Fields.Needs, Mu: c.Fields.Mu}
			seed, err := hex.DecodeString(c.Fields.Seed)
			if err != nil {
				t.Fatal(err)
			}
			copy(job.Seed[:], seed)
			r, err := tr.request(c.Fields.Type, job)
			if err != nil {
				t.Fatal(err)
			}
			r.Model, r.Out, r.Correction = c.Fields.Model, c.Fields.Out, c.Fields.Correction
			c.Fields = r
		}
		if got := string(c.Fields.line()); got != c.Line+"\n" {
			t.Errorf("%s: line %s\nwant %s", c.ID, got, c.Line)
		}
		if c.Environ == nil {
			continue
		}
		got := map[string]string{}
		for _, e := range c.Fields.environ() {
			name, value, _ := strings.Cut(e, "=")
			got[name] = value
		}
		if diff := cmp.Diff(c.Environ, got); diff != "" {
			t.Errorf("%s: environment: - want, + got\n%s", c.ID, diff)
		}
	}
}

// object is the reply as JSON.
func (r reply) object() map[string]any {
	o := map[string]any{"type": r.kind}
	put := func(name string, v any, there bool) {
		if there {
			o[name] = v
		}
	}
	put("id", float64(r.id), r.id != 0)
	put("version", float64(r.version), r.kind == typeHello)
	put("samples", float64(r.samples), r.kind == typeHello)
	put("name", r.name, r.name != "")
	put("evaluate", true, r.evaluate)
	put("statistics", true, r.statistics)
	put("init", true, r.init)
	names := func(name string, list []string) {
		all := []any{}
		for _, v := range list {
			all = append(all, v)
		}
		put(name, all, list != nil)
	}
	names("settings", r.settings)
	names("capabilities", r.capabilities)
	scalars := map[string]any{}
	for name, v := range r.scalars {
		scalars[name] = v
	}
	put("scalars", scalars, len(scalars) > 0)
	put("done", float64(r.done), r.kind == typeProgress)
	put("total", float64(r.total), r.kind == typeProgress)
	put("message", r.message, r.kind == typeError)
	metrics := map[string]any{}
	for name, v := range r.measured.Metrics {
		metrics[name] = v
		if math.IsNaN(v) || math.IsInf(v, 0) {
			metrics[name] = nil
		}
	}
	put("metrics", metrics, len(metrics) > 0)
	confusion, _ := countLines(r.measured.Counts)
	var rows []any
	for _, row := range confusion {
		var numbers []any
		for _, v := range row {
			numbers = append(numbers, float64(v))
		}
		rows = append(rows, numbers)
	}
	put("confusion", rows, rows != nil)
	return o
}

func TestReplyVectors(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Replies {
		text, message := messageIn([]byte(c.Line))
		if (message == nil) != c.Text || c.Refused == "" && !c.Text && string(text) != c.Before {
			t.Errorf("%s: message %q behind text %q", c.ID, message, text)
		}
		if message == nil {
			continue
		}
		r, err := parseReply(message)
		if c.Refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.Refused) {
				t.Errorf("%s: got %v, want it to say %q", c.ID, err, c.Refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		var want map[string]any
		if err := json.Unmarshal(c.Reply, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, r.object()); diff != "" {
			t.Errorf("%s: - want, + got\n%s", c.ID, diff)
		}
	}
}

func TestFileVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	for _, c := range v.Files {
		want, err := hex.DecodeString(c.Hex)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.ReadSafetensors(bytes.NewReader(want), 1<<20)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		for i, tensor := range c.Tensors {
			spec := m.Schema[i]
			if spec.Name != tensor.Name || !strings.EqualFold(spec.DType.String(), tensor.DType) || spec.Rule.String() != tensor.Rule ||
				hex.EncodeToString(m.Bytes(spec.Name)) != tensor.Data || !cmp.Equal(append([]int{}, spec.Shape...), tensor.Shape) {
				t.Errorf("%s: tensor %v, want %v", c.ID, spec, tensor)
			}
		}
		var got bytes.Buffer
		if err := m.WriteSafetensors(&got, c.Metadata); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: written %q, %v\nwant %q", c.ID, got.Bytes(), err, want)
		}
	}
	for _, c := range v.FilesRefused {
		b, err := hex.DecodeString(c.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.ReadSafetensors(bytes.NewReader(b), 1<<20); err == nil {
			t.Errorf("%s: accepted", c.ID)
		}
	}
}

// FuzzReply: no line of a program makes the agent panic, and what is accepted
// is within its bounds.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"type":"hello","version":1,"samples":3,"evaluate":true}`))
	f.Add([]byte(`Epoch {1}: {"type":"done","id":7}`))
	f.Add([]byte(`{"type":"progress","id":7,"done":1,"total":2}`))
	f.Add([]byte(`{"type":"done","id":7,"metrics":{"n":3,"x":null}}`))
	f.Add([]byte(`{"type":"error","id":7,"message":"why"}`))
	f.Add([]byte(`{"type":"done","id":7,"metrics":{"n":3,"\"NaN":NaN,"x":-Infinity,"y":1e999}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		text, message := messageIn(line)
		if !bytes.Equal(slices.Concat(text, message), line) {
			t.Errorf("%q fell into %q and %q", line, text, message)
		}
		if message == nil {
			return
		}
		r, err := parseReply(message)
		if err != nil {
			return
		}
		if r.samples < 0 || r.done < 0 || len(r.measured.Metrics) > trainer.MaxMetrics {
			t.Errorf("%q: %+v", line, r)
		}
	})
}
