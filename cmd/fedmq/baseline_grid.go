package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
)

// changedKey is a key of a configuration file with another value.
type changedKey struct{ path, value string }

// changedKeys are a point of the grid.
type changedKeys []changedKey

func (s changedKeys) String() string {
	var list []string
	for _, k := range s {
		list = append(list, k.path+"="+k.value)
	}
	return strings.Join(list, " ")
}

// without are the keys that are not of a mapping, or the mapping itself.
func (s changedKeys) without(name string) (list changedKeys) {
	for _, k := range s {
		if k.path != name && !strings.HasPrefix(k.path, name+".") {
			list = append(list, k)
		}
	}
	return list
}

// grid is every combination of what --set says.
func (b *baseline) grid() ([]changedKeys, error) {
	all := []changedKeys{nil}
	for _, text := range b.Set {
		key, values, ok := strings.Cut(text, "=")
		list, err := listed(values)
		if !ok || err != nil || key == "" {
			return nil, fmt.Errorf("--set %s: want a key of the task, = and values with commas between, such as train.lr=.01,.03", text)
		}
		var next []changedKeys
		for _, s := range all {
			for _, v := range list {
				next = append(next, append(s[:len(s):len(s)], changedKey{key, v}))
			}
		}
		all = next
	}
	return all, nil
}

// listed takes values apart: commas within brackets belong to a value.
func listed(text string) (list []string, err error) {
	f, err := parser.ParseBytes([]byte("["+text+"]"), 0)
	if err != nil {
		return nil, err
	}
	seq, ok := f.Docs[0].Body.(*ast.SequenceNode)
	if !ok || len(seq.Values) == 0 {
		return nil, errors.New("no values")
	}
	for _, v := range seq.Values {
		list = append(list, v.String())
	}
	return list, nil
}

// changeKeys puts values into a configuration file, and keeps its comments.
func changeKeys(b []byte, changes ...changedKey) ([]byte, error) {
	file, err := parser.ParseBytes(b, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := changeKey(file, c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return []byte(file.String() + "\n"), nil
}

// changeKey merges a value into the innermost mapping on its way that is there.
func changeKey(file *ast.File, c changedKey) error {
	parent, value := c.path, c.value
	for {
		i := strings.LastIndexByte(parent, '.')
		if i < 0 {
			return errors.New("no such place in the file")
		}
		value = parent[i+1:] + ": " + value
		parent = parent[:i]
		p, err := yaml.PathString("$." + parent)
		if err != nil {
			return err
		}
		if node, err := p.FilterFile(file); err == nil && node.Type() != ast.NullType {
			return p.MergeFromReader(file, strings.NewReader(value))
		}
		value = "{" + value + "}"
	}
}

// configured is the aggregator's configuration at a point of the grid, with a
// later seed, and what it says of the task. Of one site there is nothing to choose: then strategy
// and optimiser of the server are the plain ones.
func (b *baseline) configured(set changedKeys, later uint64, one bool) (cfg aggregator.Config, about json.RawMessage, err error) {
	at := fmt.Sprintf("tasks[%d].", b.task)
	var changes []changedKey
	for _, k := range set {
		if (k.path == "strategy" || k.path == "strategy.server") && !strings.HasPrefix(k.value, "{") {
			k.value = "{name: " + k.value + "}" // a name alone, which other keys may stand beside
		}
		changes = append(changes, changedKey{at + k.path, k.value})
	}
	text := b.config
	if len(changes) > 0 {
		if text, err = changeKeys(text, changes...); err != nil {
			return cfg, nil, fmt.Errorf("--set %w", err)
		}
	}
	name := filepath.Join(b.up.dir, aggregatorName)
	if len(set) > 0 {
		name += " with " + set.String()
	}
	var f aggregatorFile
	if err := decodeYAML(name, text, &f); err != nil {
		return cfg, nil, err
	}
	t := &f.Tasks[b.task]
	t.Seed += later
	if t.Model.MLP != nil {
		t.Model.MLP.Seed += later
	}
	if one {
		t.Strategy.Name, t.Strategy.params, t.Strategy.Server, t.Strategy.Root = "", nil, serverFile{}, nil
	}
	f.Tasks = []taskFile{*t}
	if len(set) > 0 && t.Model.File == "" {
		if err := t.Train.forTabular(name, "the trainer tabular"); err != nil {
			return cfg, nil, err
		}
	}
	if cfg, err = f.config(b.up.dir); err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, nil, fmt.Errorf("%s: %w", name, err)
	}
	cfg.Log = zerolog.Nop() // what the configuration is warned of, up says
	if about, err = plainTask(text, b.task); err == nil && one {
		about, err = withoutStrategy(about)
	}
	return cfg, about, err
}

// withoutStrategy is what a task says but for how updates become a model.
func withoutStrategy(about json.RawMessage) (json.RawMessage, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(about, &keys); err != nil {
		return nil, err
	}
	delete(keys, "strategy")
	return json.Marshal(keys)
}

// plainTask is a task of a configuration file as JSON.
func plainTask(text []byte, i int) (json.RawMessage, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err
	}
	p, err := yaml.PathString(fmt.Sprintf("$.tasks[%d]", i))
	if err != nil {
		return nil, err
	}
	n, err := p.FilterFile(file)
	if err != nil {
		return nil, err
	}
	v, err := plain(n)
	if err != nil { // an anchor, say
		return json.Marshal(n.String())
	}
	return json.Marshal(v)
}

// key is of all that decides what comes of a trial: same is what all have in common.
func (b *baseline) key(about json.RawMessage, t trial, same []byte) (string, error) {
	h := sha256.New()
	say := json.NewEncoder(h)
	err := errors.Join(say.Encode(version), say.Encode(about), say.Encode(t))
	h.Write(same)
	return hex.EncodeToString(h.Sum(nil)[:16]), err
}

// same is what decides of every trial: the files of the folder, and how rows are dealt.
func (b *baseline) same() ([]byte, error) {
	var out bytes.Buffer
	say := json.NewEncoder(&out)
	err := errors.Join(say.Encode(b.Folds), say.Encode(b.Group))
	for i, f := range b.sites {
		text, readErr := os.ReadFile(b.names[i])
		err = errors.Join(err, readErr, say.Encode(f.Member), say.Encode(bytes.TrimSpace(text)))
	}
	for _, name := range []string{b.Central, at(b.up.dir, b.agg.Tasks[b.task].Model.File)} {
		if info, statErr := os.Stat(name); statErr == nil && info.Mode().IsRegular() {
			text, readErr := os.ReadFile(name)
			err = errors.Join(err, readErr, say.Encode(sha256.Sum256(text)))
		}
	}
	for _, s := range b.field.sites {
		if s.data != nil {
			for _, f := range s.data.Files {
				err = errors.Join(err, say.Encode(f.SHA256))
			}
		}
	}
	err = errors.Join(err, b.sayPrograms(say))
	return out.Bytes(), err
}

// sayPrograms is of the files that the commands of programs name.
func (b *baseline) sayPrograms(say *json.Encoder) (err error) {
	for _, f := range b.sites {
		for _, t := range f.Tasks {
			if t.Trainer.Exec == nil {
				continue
			}
			for _, arg := range t.Trainer.Exec.Command {
				text, readErr := os.ReadFile(at(b.up.dir, arg))
				if readErr == nil {
					err = errors.Join(err, say.Encode(sha256.Sum256(text)))
				}
			}
		}
	}
	return err
}
