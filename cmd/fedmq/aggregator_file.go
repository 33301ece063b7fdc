package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// aggregatorFile is the configuration file of an aggregator.
type aggregatorFile struct {
	Connection connection `yaml:",inline"`
	Owner      string     `yaml:"owner"`
	Bulk       string     `yaml:"bulk"`
	PartSize   int        `yaml:"part_size"`
	StageMem   int        `yaml:"stage_memory"`
	Uploads    int        `yaml:"uploads"`
	Tasks      []taskFile `yaml:"tasks"`
}

// loadAggregator reads a configuration file; every error names the file.
func loadAggregator(path string) (aggregator.Config, error) {
	cfg, _, err := readAggregator(path)
	return cfg, err
}

// readAggregator is loadAggregator, with what is not the aggregator's own.
func readAggregator(path string) (aggregator.Config, aggregatorFile, error) {
	var f aggregatorFile
	if err := loadYAML(path, &f); err != nil {
		return aggregator.Config{}, f, err
	}
	for _, t := range f.Tasks {
		if t.isTabular() {
			if err := t.Train.forTabular(path, "the trainer tabular"); err != nil {
				return aggregator.Config{}, f, err
			}
		}
	}
	cfg, err := f.config(filepath.Dir(path))
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, f, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, f, nil
}

func (f aggregatorFile) config(dir string) (aggregator.Config, error) {
	s, err := f.Connection.load(dir)
	if err != nil {
		return aggregator.Config{}, err
	}
	cfg := aggregator.Config{
		Broker: string(f.Connection.Broker), Namespace: f.Connection.Namespace, Owner: f.Owner, Bulk: f.Bulk, DataDir: at(dir, f.Connection.DataDir),
		Username: f.Connection.Username, Password: s.password, ClientID: f.Connection.ClientID, TLS: s.tls, Headers: s.headers,
		Signer: s.signer, Keys: s.keys, PartSize: f.PartSize, StageMemory: f.StageMem, Uploads: f.Uploads,
	}
	for i, t := range f.Tasks {
		task, err := t.task(dir, cfg.DataDir)
		if err != nil {
			return cfg, fmt.Errorf("tasks[%d] (%s): %w", i, t.Name, err)
		}
		cfg.Tasks = append(cfg.Tasks, task)
	}
	return cfg, nil
}

// warn names settings that the built-in trainer does not know, where the model
// is one of its kinds. A trainer of the sites' own may.
func (f aggregatorFile) warn(path string) {
	for _, t := range f.Tasks {
		if t.Model.File != "" {
			continue
		}
		if err := t.Train.unknown(path, "the trainer tabular", tabular.SettingNames()); err != nil {
			fmt.Fprintf(os.Stderr, "%v; a site with this trainer will decline\n", err)
		}
	}
}
