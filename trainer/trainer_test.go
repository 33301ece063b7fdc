package trainer_test

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("fedmq.seed.v1\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x01\x02berlin/line-1"))
	if got := trainer.Seed(7, "berlin/line-1", 258); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	a, b := trainer.Job{Seed: want, Attempt: 1}, trainer.Job{Seed: want, Attempt: 2}
	if a.Rand().Uint64() != b.Rand().Uint64() {
		t.Error("the generator depends on the attempt")
	}
	if a.Rand().Uint64() != a.Rand().Uint64() {
		t.Error("a second generator does not start over")
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	type settings struct {
		Epochs int `json:"epochs"`
	}
	for _, c := range []struct{ name, in, problem string }{
		{"given", `{"epochs": 3}`, ""},
		{"absent", ``, ""},
		{"unknown key", `{"epochs": 3, "lrate": 1}`, "lrate"},
		{"wrong type", `{"epochs": "3"}`, "settings: epochs: want a whole number, not string"},
		{"no whole number", `{"epochs": 2.5}`, "settings: epochs: want a whole number, not number 2.5"},
		{"without a value", `{"epochs": null}`, "settings: epochs: has no value"},
		{"not an object", `null`, "want a JSON object"},
		{"two objects", `{"epochs": 3} {}`, "after the object"},
		{"cut off", `{"epochs": 3`, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := settings{Epochs: 1}
			err := trainer.Job{Settings: json.RawMessage(c.in)}.Decode(&v)
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem == "" && c.in != "" && v.Epochs != 3:
				t.Errorf("epochs %d", v.Epochs)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("got %v, want it to name %q", err, c.problem)
			}
		})
	}
}
