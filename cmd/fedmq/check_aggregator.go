package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// about says what a task asks of its sites: the model, and the settings in force
// where the trainer tabular knows them.
func (f taskFile) about(m *model.Model) string {
	if s := f.Statistics.survey(); s != nil {
		return fmt.Sprintf("statistics of %d columns, %d bins, %s", len(s.Columns), (m.Schema.Shape(model.SurveyCounts))[1]-2, times(int(max(f.Rounds, 1)), "round", "rounds"))
	}
	said := fmt.Sprintf("%d rounds, %s, %d values", f.Rounds, f.Model.about(), m.Schema.Elements())
	if f.Model.File != "" {
		return said
	}
	s, err := tabular.ParseSettings(f.Train.json)
	if err != nil {
		return said // warn has said it
	}
	var keys []string
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if v.Field(i).Kind() == reflect.String && v.Field(i).IsZero() { // a word that was not said
			continue
		}
		keys = append(keys, fmt.Sprintf("%s %v", key, v.Field(i).Interface()))
	}
	return said + "; the trainer tabular takes " + strings.Join(keys, ", ")
}

// about names a model: mlp 6-16-2.
func (m modelFile) about() string {
	for kind, a := range m.kinds() {
		widths := []string{strconv.Itoa(a.Inputs)}
		for _, h := range a.Hidden {
			widths = append(widths, strconv.Itoa(h))
		}
		return kind + " " + strings.Join(append(widths, strconv.Itoa(a.Outputs)), "-")
	}
	return m.File
}
