package record_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

const goldenDescription = `{"schema":"fedmq.task.v1","owner":"acme","task":"quality",` +
	`"schema_hash":"HASH","tensors":[` +
	`{"name":"fedmq.mean","dtype":"f64","shape":[2],"rule":"keep"},` +
	`{"name":"scale","dtype":"f32","shape":[],"rule":"mean"}]}`

func layout(t *testing.T) model.Schema {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "scale"},
		model.Spec{Name: "fedmq.mean", DType: model.F64, Shape: []int{2}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDescription(t *testing.T) {
	t.Parallel()
	s := layout(t)
	b, err := record.Describe("acme", "quality", s).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(goldenDescription, "HASH", s.Hash().String(), 1); string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	d, err := record.DecodeDescription(b)
	if err != nil {
		t.Fatal(err)
	}
	back, err := d.Layout()
	if err != nil || !back.Equal(s) || back[0].Rule != model.Keep || back[1].Rule != model.Mean {
		t.Errorf("%v, %v", back, err)
	}
	if b, err := record.Describe("acme", "empty", nil).Encode(); err != nil || !strings.Contains(string(b), `"tensors":[]`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestDescriptionRefuses(t *testing.T) {
	t.Parallel()
	good := strings.Replace(goldenDescription, "HASH", layout(t).Hash().String(), 1)
	for _, c := range []struct{ name, old, with string }{
		{"other schema", "task.v1", "task.v2"},
		{"another hash", `"schema_hash":"`, `"schema_hash":"00`},
		{"other shape under the same hash", `"shape":[2]`, `"shape":[3]`},
		{"no shape", `"shape":[]`, `"shape":null`},
		{"negative shape", `"shape":[2]`, `"shape":[-2]`},
		{"unknown dtype", `"dtype":"f64"`, `"dtype":"f65"`},
		{"unknown rule", `"rule":"keep"`, `"rule":"kept"`},
		{"out of order", `"name":"scale"`, `"name":"a"`},
		{"unknown member", `"owner"`, `"x":1,"owner"`},
		{"no owner", `"owner":"acme"`, `"owner":""`},
		{"space", `{"schema"`, `{ "schema"`},
		{"text behind", `"rule":"mean"}]}`, `"rule":"mean"}]}{}`},
	} {
		bad := strings.Replace(good, c.old, c.with, 1)
		if bad == good {
			t.Fatalf("%s: nothing was changed", c.name)
		}
		if _, err := record.DecodeDescription([]byte(bad)); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := record.DecodeDescription([]byte(strings.Repeat(" ", record.MaxDescription+1))); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	many := `{"schema":"fedmq.task.v1","owner":"a","task":"b","schema_hash":"","tensors":[` + strings.Repeat(`{},`, model.MaxTensors) + `{}]}`
	if _, err := record.DecodeDescription([]byte(many)); err == nil || !strings.Contains(err.Error(), "more than 4096 tensors") {
		t.Errorf("too many tensors: %v", err)
	}
}
