package aggregator

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Commands as they travel, unsigned: what is done, and what is refused with the name of
// what this version lacks.
func TestCommandVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../testdata/vectors/command.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Schema string `json:"schema"`
		Cases  []struct {
			ID      string          `json:"id"`
			Command json.RawMessage `json:"command"`
			Refused string          `json:"refused"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(b, &file); err != nil || file.Schema != "fedmq.vectors.command.v1" || len(file.Cases) == 0 {
		t.Fatalf("%+v, %v", file, err)
	}
	for _, c := range file.Cases {
		got, err := decodeCommand(c.Command)
		switch {
		case c.Refused == "" && (err != nil || got.ID != c.ID):
			t.Errorf("%s: %+v, %v", c.ID, got, err)
		case c.Refused != "" && (err == nil || !strings.Contains(err.Error(), c.Refused)):
			t.Errorf("%s: %v, want a refusal that says %q", c.ID, err, c.Refused)
		}
	}
}
