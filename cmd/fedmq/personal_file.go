package main

import (
	"errors"

	"github.com/fedmq/fedmq/site"
)

// personaliseFile says that a site trains what is released for itself, too.
type personaliseFile struct {
	Epochs   int     `yaml:"epochs"`
	LRFactor float64 `yaml:"lr_factor"`
	Metric   string  `yaml:"metric"`
}

// site is the same for a site; nil: it does not.
func (p *personaliseFile) site() *site.Personalise {
	if p == nil {
		return nil
	}
	return &site.Personalise{Epochs: p.Epochs, LRFactor: p.LRFactor, Metric: p.Metric}
}

// measures refuses it without rows on which models could be compared, as far as the file says.
func (t siteTaskFile) measures() error {
	if c := t.Trainer.Tabular; t.Personalise != nil && c != nil && c.Test == "" && c.Split == nil {
		return errors.New("personalise: has no effect without test rows: give test or split")
	}
	return nil
}
