package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// mlflowExperiment and mlflowRun are meta.yaml of MLflow's file store.
type mlflowExperiment struct {
	ArtifactLocation string `yaml:"artifact_location"`
	CreationTime     int64  `yaml:"creation_time"`
	ExperimentID     string `yaml:"experiment_id"`
	LastUpdateTime   int64  `yaml:"last_update_time"`
	LifecycleStage   string `yaml:"lifecycle_stage"`
	Name             string `yaml:"name"`
}

type mlflowRun struct {
	ArtifactURI    string   `yaml:"artifact_uri"`
	EndTime        int64    `yaml:"end_time"`
	EntryPointName string   `yaml:"entry_point_name"`
	ExperimentID   string   `yaml:"experiment_id"`
	LifecycleStage string   `yaml:"lifecycle_stage"`
	RunID          string   `yaml:"run_id"`
	RunName        string   `yaml:"run_name"`
	RunUUID        string   `yaml:"run_uuid"`
	SourceName     string   `yaml:"source_name"`
	SourceType     int      `yaml:"source_type"`
	SourceVersion  string   `yaml:"source_version"`
	StartTime      int64    `yaml:"start_time"`
	Status         int      `yaml:"status"`
	Tags           []string `yaml:"tags"`
	UserID         string   `yaml:"user_id"`
}

// What MLflow's file store means by these numbers, and takes.
const (
	mlflowFinished = 3
	mlflowLocal    = 4
	mlflowParam    = 6000 // bytes of a value
)

// exportMLflow writes runs into a directory that MLflow reads as its store of files:
// an experiment for each task, a run for each run. Once more writes the same runs
// again; what else is in the directory stays.
func exportMLflow(dir string, runs []*taskRun) error {
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if len(r.Records) == 0 {
			continue
		}
		if err := r.mlflow(root); err != nil {
			return fmt.Errorf("--mlflow: %w", err)
		}
	}
	return nil
}

func (r *taskRun) mlflow(root string) error {
	experiment, id := mlflowIDs(r)
	first, last := r.Records[0], r.Records[len(r.Records)-1]
	top := filepath.Join(root, experiment)
	dir := filepath.Join(top, id)
	if err := os.RemoveAll(dir); err != nil { // our own, of before
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "artifacts"), 0o755); err != nil { // to be read by others
		return err
	}
	if absent(filepath.Join(top, "meta.yaml")) {
		if err := writeMeta(top, mlflowExperiment{"file://" + filepath.ToSlash(top), first.OpenedMS, experiment, first.OpenedMS, "active", r.Task}); err != nil {
			return err
		}
	}
	if err := writeMeta(dir, mlflowRun{
		ArtifactURI: "file://" + filepath.ToSlash(filepath.Join(dir, "artifacts")), StartTime: first.OpenedMS, EndTime: max(last.CommittedMS, last.ClosedMS),
		ExperimentID: experiment, LifecycleStage: "active", RunID: id, RunUUID: id, RunName: r.Name, SourceName: "fedmq", SourceType: mlflowLocal,
		Status: mlflowFinished, Tags: []string{}, UserID: "fedmq",
	}); err != nil {
		return err
	}
	for name, text := range r.mlflowFiles() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { // as above
			return err
		}
	}
	return nil
}

func writeMeta(dir string, v any) error {
	text, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "meta.yaml"), text, 0o644) // to be read by others
}

// mlflowIDs follow from the task and its beginning, so that a run is the same
// whenever and from wherever it is written.
func mlflowIDs(r *taskRun) (experiment, id string) {
	first := r.Records[0]
	h := sha256.Sum256([]byte("experiment\x00" + first.Owner + "\x00" + r.Task))
	experiment = strconv.FormatUint(binary.BigEndian.Uint64(h[:])>>4, 10) // below 2^63
	var b bytes.Buffer
	fmt.Fprint(&b, first.Owner, "\x00", r.Task, "\x00", first.Origin, first.OpenedMS, first.Model)
	h = sha256.Sum256(b.Bytes())
	return experiment, hex.EncodeToString(h[:16])
}

// mlflowFiles are metrics, params and tags: a file each.
func (r *taskRun) mlflowFiles() map[string]string {
	out := map[string]string{}
	for _, p := range r.measured() {
		for _, name := range slices.Sorted(maps.Keys(p.Record.Metrics)) {
			m := p.Record.Metrics[name]
			for _, part := range []struct {
				name string
				v    float64
			}{{name, float64(m.Value)}, {name + ".best_site", float64(m.Best)}, {name + ".worst_site", float64(m.Worst)}} {
				if finite(part.v) {
					out["metrics/"+mlflowName(part.name)] += fmt.Sprintf("%d %s %d\n", p.Record.CommittedMS, exactText(part.v), p.Trained)
				}
			}
		}
	}
	s := r.settings()
	for key, value := range flat(s.Settings) {
		out["params/"+mlflowName(key)] = cut(value, mlflowParam)
	}
	for member, raw := range s.Sites {
		for key, value := range flat(raw) {
			out["params/"+mlflowName(member+"."+key)] = cut(value, mlflowParam)
		}
	}
	last := r.Records[len(r.Records)-1]
	for key, value := range map[string]string{
		"mlflow.runName": r.Name, "mlflow.user": "fedmq", "mlflow.source.name": "fedmq", "mlflow.source.type": "LOCAL",
		"fedmq.task": r.Task, "fedmq.owner": last.Owner, "fedmq.model": last.Model.String(), "fedmq.rounds": strconv.Itoa(r.rounds()), "fedmq.dir": r.Dir,
	} {
		out["tags/"+key] = value
	}
	if b := bestIn(r.Records); b != nil {
		out["tags/fedmq.best_version"], out["tags/fedmq.best_"+mlflowName(b.Metric)] = strconv.FormatUint(b.Version, 10), exactText(b.Value)
	}
	return out
}

// notInMLflow is what the store does not take in a name, and what would be a folder.
var notInMLflow = regexp.MustCompile(`[^A-Za-z0-9_.: -]`)

func mlflowName(name string) string {
	return strings.Trim(notInMLflow.ReplaceAllString(name, "_"), ".")
}

func cut(text string, n int) string {
	if len(text) > n {
		return text[:n]
	}
	return text
}
