package aggregator

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The defaults that docs/ref/config.md gives are those in the code. Every
// default that is a value and not a description is compared.
func TestDocumentedDefaults(t *testing.T) {
	t.Parallel()
	c := Config{Tasks: []Task{{Stop: &Stop{}, Release: &Release{}}}}.withDefaults()
	task, survey := c.Tasks[0], Survey{}.withDefaults()
	want := map[string]any{
		"part_size": c.PartSize, "stage_memory": c.StageMemory, "uploads": c.Uploads,
		"tasks[].join_wait": task.JoinWait, "tasks[].quorum": task.Quorum, "tasks[].deadline": task.Deadline,
		"tasks[].sample": task.Sample, "tasks[].strategy.name": task.Strategy, "tasks[].strategy.server.name": task.Server, "tasks[].strategy.weights": task.Weights,
		"tasks[].strategy.cap_factor": task.CapFactor, "tasks[].max_samples": task.MaxSamples, "tasks[].train": string(task.Train), "tasks[].seed": task.Seed, "tasks[].encoding": task.Encoding,
		"tasks[].slots": task.Slots, "tasks[].keep_updates": task.KeepUpdates, "tasks[].keep_models": task.KeepModels,
		"tasks[].statistics.bins": survey.Bins, "tasks[].statistics.minmax": survey.Extremes, "tasks[].statistics.allow_few": survey.AllowFew,
		"tasks[].stop.patience": task.Stop.Patience, "tasks[].stop.min_delta": task.Stop.MinDelta,
		"tasks[].release.min_gain": task.Release.MinGain, "tasks[].release.max_site_loss": *task.Release.MaxSiteLoss, "tasks[].release.hold": task.Release.Hold,
		"tasks[].release.hold_for": task.Release.HoldFor, "tasks[].release.approve": string(task.Release.Approve),
	}
	elsewhere := map[string]bool{"tasks[].start_when": true, "tasks[].strategy.grid_b": true} // another key's value; package round's
	text, err := os.ReadFile("../docs/ref/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Aggregator\n")
	section, _, _ = strings.Cut(section, "\n### ")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| .* \\| (?:`([^`|]+)`|([0-9][^ |]*)(?: \\([^|]*\\))?) \\| [^|]* ?\\|$")
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		key, documented := m[1], m[2]+m[3]
		if elsewhere[key] {
			continue
		}
		v, ok := want[key]
		if d, isTime := v.(time.Duration); isTime {
			if p, err := time.ParseDuration(documented); err == nil && p == d {
				documented = d.String()
			}
		}
		if !ok || fmt.Sprint(v) != documented {
			t.Errorf("%s: the document says %s, the code %v", key, documented, v)
		}
		delete(want, key)
	}
	for key := range want {
		t.Errorf("%s: the document gives no value for its default", key)
	}
}
