package aggregator

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

func aContract(names, size int) *pipeline.Contract {
	c := &pipeline.Contract{Target: pipeline.Target{Name: "y"}, Net: pipeline.Net{Tensors: pipeline.TensorsLayers, Output: pipeline.OutputIdentity}}
	for i := range names {
		c.Inputs = append(c.Inputs, pipeline.Input{Name: fmt.Sprintf("%d%s", i, strings.Repeat("x", size))})
	}
	return c
}

// A contract that no message can have is refused by its key when the aggregator starts.
func TestContractTooLong(t *testing.T) {
	t.Parallel()
	m, err := model.Arch{Kind: "linear", Inputs: 500, Outputs: 1}.New(false)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Broker: "tcp://127.0.0.1:1883", Namespace: "acme", DataDir: t.TempDir(), Tasks: []Task{{Name: "q", Members: []string{"+"}, Rounds: 1, Init: m}}}
	for size, want := range map[int]string{50: "", 240: "contract: bad contract: 1"} {
		cfg.Tasks[0].Contract = aContract(500, size)
		if err := cfg.Validate(); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want at most 98304")) {
			t.Errorf("names of %d bytes: %v", size, err)
		}
	}
}

// That the contract has no room beside the model is said once.
func TestNoRoomForTheContract(t *testing.T) {
	t.Parallel()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	at, err := ns.Owner("", "q")
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]int{200: 1, 100_000: 0} {
		var lines bytes.Buffer
		log := zerolog.New(&lines)
		seal := func(_ wire.Header, m wire.Message) ([]byte, error) {
			return make([]byte, 100+len(m.(wire.Model).Contract)), nil
		}
		c := aContract(3, 100)
		tk := &task{
			a: &aggregator{cfg: Config{PartSize: most}}, log: log, state: &round.State{Contract: &round.Agreed{Contract: c}},
			published: newPublication(at, most, seal, func() int64 { return 0 }), telling: telling{log: log, remarked: map[string]bool{}},
		}
		for v := range uint64(3) {
			if err := tk.put(owner.Publish{Order: round.Order{Version: v}}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(lines.String(), "the contract has no room in a message of the model"); n != want {
			t.Errorf("part size %d: said %d times, want %d", most, n, want)
		}
	}
}
