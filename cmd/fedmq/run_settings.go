package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/textfile"
)

// settingsName is the file in an aggregator's data directory that says with which
// settings its rounds were made: a line for each change.
const settingsName = "settings.jsonl"

// runSettings are those of a task, as the configuration files have them.
type runSettings struct {
	AtMS     int64                      `json:"at_ms"`
	Agent    string                     `json:"agent"`
	Task     string                     `json:"task"`
	After    uint64                     `json:"after"`           // version of the model that they begin with
	Settings json.RawMessage            `json:"settings"`        // of the aggregator's task
	Sites    map[string]json.RawMessage `json:"sites,omitempty"` // by member, where fedmq up knows them
	Data     map[string]string          `json:"data,omitempty"`  // SHA-256 of what a member has read, likewise
}

// readSettings returns the lines of a task, oldest first; none where nobody has
// written them. A line that was cut short is left out.
func readSettings(dataDir, task string) (list []runSettings, err error) {
	text, err := os.ReadFile(filepath.Join(dataDir, settingsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(text) {
		var s runSettings
		if json.Unmarshal(line, &s) == nil && s.Task == task {
			list = append(list, s)
		}
	}
	return list, err
}

// noteSettings adds a line, unless the last one says the same.
func noteSettings(dataDir string, s runSettings) error {
	had, err := readSettings(dataDir, s.Task)
	if err != nil || len(had) > 0 && len(differences(had[len(had)-1], s)) == 0 && len(had[len(had)-1].Sites) >= len(s.Sites) {
		return err
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return err
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dataDir, settingsName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(append([]byte("\n"), line...), '\n')) // after what may have been cut short
	return errors.Join(err, f.Close())
}

// noteTasks notes the settings of the tasks that go on, as the file at path has them;
// begun is what aggregator.Ended says of all.
func noteTasks(cfg aggregator.Config, begun map[string]bool, path string, sites func(*runSettings)) error {
	text, err := readText(path)
	if err != nil {
		return err
	}
	for i, t := range cfg.Tasks {
		if begun[t.Name] {
			continue
		}
		s, err := taskSettings(text, i, t.Name)
		if err != nil {
			return err
		}
		sites(&s)
		recs := newRecordFiles(filepath.Join(cfg.DataDir, "records", t.Name), nil)
		recs.look()
		if n := len(recs.recs); n > 0 {
			s.After = recs.recs[n-1].Round
		}
		if err := noteSettings(cfg.DataDir, s); err != nil {
			return err
		}
	}
	return nil
}

func taskSettings(text []byte, i int, task string) (runSettings, error) {
	about, err := plainTask(text, i)
	return runSettings{AtMS: time.Now().UnixMilli(), Agent: "fedmq " + version, Task: task, Settings: about}, err
}

// settingsHash is of a task's settings.
func settingsHash(about json.RawMessage) string {
	h := sha256.Sum256(about)
	return hex.EncodeToString(h[:16])
}

// readText reads a configuration file as loadYAML does.
func readText(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return textfile.Decode(b)
}

// differences says in words what is set otherwise since.
func differences(old, now runSettings) (list []string) {
	list = keyDifferences("", flat(old.Settings), flat(now.Settings))
	if len(old.Sites) == 0 || len(now.Sites) == 0 {
		return list
	}
	all := maps.Clone(old.Sites)
	maps.Copy(all, now.Sites)
	for _, member := range slices.Sorted(maps.Keys(all)) {
		a, before := old.Sites[member]
		b, after := now.Sites[member]
		switch {
		case !before:
			list = append(list, "site "+member+": not there, now it is")
		case !after:
			list = append(list, "site "+member+": there, now it is not")
		default:
			list = append(list, keyDifferences(member+" ", flat(a), flat(b))...)
		}
		if a, b := old.Data[member], now.Data[member]; a != "" && b != "" && a != b {
			list = append(list, "the data of "+member)
		}
	}
	return list
}

func keyDifferences(of string, old, now map[string]string) (list []string) {
	all := maps.Clone(old)
	maps.Copy(all, now)
	value := func(m map[string]string, key string) string {
		if v, ok := m[key]; ok {
			return v
		}
		return "not set"
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if a, b := value(old, key), value(now, key); a != b {
			list = append(list, fmt.Sprintf("%s%s: %s, now %s", of, key, a, b))
		}
	}
	return list
}

// flat are the settings of a mapping by their whole keys: train.lr.
func flat(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return out
	}
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(strings.TrimPrefix(key+"."+k, "."), x)
			}
		case string:
			out[key] = v
		default:
			b, _ := json.Marshal(v) // it was JSON
			out[key] = string(b)
		}
	}
	walk("", v)
	return out
}
