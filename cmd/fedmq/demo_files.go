package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// exampleBroker is the broker in the configurations of the examples.
const exampleBroker = "tcp://127.0.0.1:1883"

// layOut writes the example's data and its configurations, with the broker's
// address and the seed in them, so that every part can be run by hand again:
// dir/aggregator.yaml and dir/<site>.yaml.
func (d *demo) layOut(broker string) error {
	err := fs.WalkDir(d.ex.files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path == "site.yaml" {
			return err
		}
		b, err := fs.ReadFile(d.ex.files, path)
		if err != nil {
			return err
		}
		if path == "aggregator.yaml" {
			if b, err = d.edit(b, broker); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return os.WriteFile(filepath.Join(d.Dir, path), b, 0o600)
	})
	if err != nil {
		return err
	}
	template, err := fs.ReadFile(d.ex.files, "site.yaml")
	if err != nil {
		return err
	}
	for _, vars := range d.ex.sites {
		text := os.Expand(strings.ReplaceAll(string(template), exampleBroker, broker), func(name string) string { return vars[name] })
		if err := os.WriteFile(d.siteFile(vars), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// isLaidOut refuses a folder with another federation in it.
func (d *demo) isLaidOut(name string) error {
	var own, there aggregatorFile
	b, err := fs.ReadFile(d.ex.files, aggregatorName)
	if err != nil {
		return err
	}
	if err := errors.Join(decodeYAML(aggregatorName, b, &own), loadYAML(filepath.Join(d.Dir, aggregatorName), &there)); err != nil {
		return err
	}
	same := len(there.Tasks) == 1 && there.Tasks[0].Name == own.Tasks[0].Name
	for _, vars := range d.ex.sites {
		same = same && !absent(d.siteFile(vars))
	}
	if !same {
		return fmt.Errorf("%s has another federation in it: want it without --example, or --example %s with a folder of its own", d.Dir, name)
	}
	return nil
}

func (d *demo) siteFile(vars map[string]string) string {
	return filepath.Join(d.Dir, siteName(vars)+".yaml")
}

// edit puts broker and seed into the aggregator's configuration and keeps its
// comments.
func (d *demo) edit(b []byte, broker string) ([]byte, error) {
	file, err := parser.ParseBytes([]byte(strings.ReplaceAll(string(b), exampleBroker, broker)), parser.ParseComments)
	if err != nil {
		return nil, err
	}
	set := func(path, value string) error {
		p, err := yaml.PathString(path)
		if err != nil {
			return err
		}
		return p.MergeFromReader(file, strings.NewReader(value))
	}
	if err := set("$.tasks[0]", fmt.Sprintf("seed: %d", d.Seed)); err != nil {
		return nil, err
	}
	if strings.Contains(string(b), "model: {mlp:") { // the others begin with zeros
		if err := set("$.tasks[0].model.mlp", fmt.Sprintf("seed: %d", d.Seed)); err != nil {
			return nil, err
		}
	}
	return []byte(file.String() + "\n"), nil
}
