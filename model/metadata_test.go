package model_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/model"
)

func TestReadSafetensorsMetadata(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.safetensors")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, header string
		want         map[string]string // nil: refused
	}{
		{"some", `{"__metadata__":{"a":"1","fedmq.rules":"{\"x\":\"keep\"}"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, map[string]string{"a": "1"}},
		{"none", `{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, map[string]string{}},
		{"a number", `{"__metadata__":{"a":1}}`, nil},
		{"null", `{"__metadata__":{"a":null}}`, nil},
		{"a name twice", `{"__metadata__":{"a":"1","a":"2"}}`, nil},
		{"no object", `{"__metadata__":["a"]}`, nil},
	} {
		write(file(c.header, "1234"))
		got, err := model.ReadSafetensorsMetadata(path)
		if c.want == nil && !errors.Is(err, model.ErrSafetensors) || c.want != nil && (err != nil || !maps.Equal(got, c.want)) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	write([]byte("short"))
	if _, err := model.ReadSafetensorsMetadata(path); !errors.Is(err, model.ErrSafetensors) {
		t.Errorf("no header: %v", err)
	}
	if _, err := model.ReadSafetensorsMetadata(path + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
