package main

import (
	"path/filepath"
	"slices"
)

// reportBaseline is what fedmq baseline has found for the same task.
type reportBaseline struct {
	Same   bool // its federated model is one of the run's, bit by bit
	values map[string]map[string]float64
}

// value is that of a metric, by the class of its line.
func (b *reportBaseline) value(class, metric string) (v float64, ok bool) {
	if b != nil {
		v, ok = b.values[class][metric]
	}
	return v, ok
}

// baselineOf reads what fedmq baseline has left in the folder that a report is of, or
// in that which a run was put aside in.
func baselineOf(folder string) ([]outcome, error) {
	for _, dir := range []string{folder, filepath.Join(folder, "..", "..")} {
		list, _, err := trainingsIn(filepath.Join(dir, ".fedmq-baseline", "trainings.jsonl"))
		if len(list) > 0 || err != nil {
			return list, err
		}
	}
	return nil, nil
}

// baseline finds the trainings that belong beside the run: those whose federated model
// the run has made, too, which takes the same rows and settings; else the last ones of the
// same settings. Folds and sites that are left out are judged on other rows, and later
// seeds begin with another model.
func (src reportSource) baseline() *reportBaseline {
	plain := slices.DeleteFunc(slices.Clone(src.trained), func(o outcome) bool {
		return o.Beside == "" || o.Fold != 0 || o.Left != "" || o.Seed != 0
	})
	made := map[string]bool{}
	for _, r := range src.run.Records {
		made[r.Model.String()] = true
	}
	settings := settingsHash(src.run.settings().Settings)
	var found *outcome
	same := false
	for i, o := range plain {
		switch {
		case o.Arm == armFederated && made[o.Model]:
			found, same = &plain[i], true
		case !same && o.Settings == settings:
			found = &plain[i]
		}
	}
	if found == nil {
		return nil
	}
	beside := slices.DeleteFunc(plain, func(o outcome) bool { return o.Beside != found.Beside })
	b := &reportBaseline{Same: same, values: map[string]map[string]float64{}}
	for arm, class := range map[string]string{armAlone: "alone", armCentral: "central"} {
		of := slices.DeleteFunc(slices.Clone(beside), func(o outcome) bool { return o.Arm != arm })
		if len(of) == 0 {
			continue
		}
		b.values[class] = map[string]float64{}
		for name := range of[0].Metrics {
			if rows, err := scoresOf(of, name); err == nil { // else some have no such metric
				b.values[class][name] = rows[0].Mean
			}
		}
	}
	return b
}
