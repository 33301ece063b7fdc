// Package examples_test federates the examples in one process, without a
// network, and checks that they reach what their data allow. The average here
// is the plain one of the textbook, so that these numbers stand on their own.
package examples_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

const taskSeed = 1

// example is one example, loaded as its configs say.
type example struct {
	arch     model.Arch
	rounds   int
	settings tabular.Settings
	members  []string
	sites    []*tabular.Data
	all      *tabular.Data
}

type aggregatorYAML struct {
	Tasks []struct {
		Name    string
		Members []string
		Rounds  int
		Model   map[string]model.Arch
		Train   map[string]any
	}
}

type siteYAML struct {
	Member string
	Tasks  []struct {
		Name    string
		Trainer struct{ Tabular tabular.Config }
	}
}

func load(tb testing.TB, files fs.FS, sites []map[string]string) *example {
	tb.Helper()
	var agg aggregatorYAML
	parse(tb, files, "aggregator.yaml", nil, &agg)
	task := agg.Tasks[0]
	e := &example{rounds: task.Rounds}
	for kind, arch := range task.Model {
		arch.Kind = kind
		e.arch = arch
	}
	for key, v := range task.Train {
		if text, ok := v.(string); ok { // goccy/go-yaml reads 1e-4 as a string
			task.Train[key] = json.Number(text)
		}
	}
	raw, err := json.Marshal(task.Train)
	check(tb, err)
	e.settings, err = tabular.ParseSettings(raw)
	check(tb, err)
	filter, err := topics.ParseMemberFilter(task.Members[0])
	check(tb, err)
	check(tb, topics.CheckTask(task.Name))
	for _, vars := range sites {
		var site siteYAML
		parse(tb, files, "site.yaml", vars, &site)
		if site.Tasks[0].Name != task.Name || !filter.Match(site.Member) {
			tb.Fatalf("%s, %s: not a member of the aggregator's task", site.Member, site.Tasks[0].Name)
		}
		d, err := tabular.Load(tabular.FS(files), site.Tasks[0].Trainer.Tabular)
		check(tb, err)
		e.members, e.sites = append(e.members, site.Member), append(e.sites, d)
	}
	e.all, err = tabular.Merge(e.sites...)
	check(tb, err)
	return e
}

// parse reads a YAML file strictly, with variables replaced.
func parse(tb testing.TB, files fs.FS, name string, vars map[string]string, into any) {
	tb.Helper()
	b, err := fs.ReadFile(files, name)
	check(tb, err)
	text := os.Expand(string(b), func(v string) string {
		if _, ok := vars[v]; !ok {
			tb.Fatalf("%s: no value for %s", name, v)
		}
		return vars[v]
	})
	check(tb, yaml.NewDecoder(bytes.NewReader([]byte(text))).Decode(into))
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// start returns the initial model, with the z-score of d unless d is nil.
func (e *example) start(tb testing.TB, d *tabular.Data) *model.Model {
	tb.Helper()
	m, err := e.arch.New(true)
	check(tb, err)
	if d == nil {
		return m
	}
	mean, sd := d.Moments().ZScore()
	m, err = tabular.WithZScore(m, mean, sd)
	check(tb, err)
	return m
}

// federated runs the rounds and calls after, if not nil, after each.
func (e *example) federated(tb testing.TB, settings tabular.Settings, rounds int, after func(round int, m *model.Model)) *model.Model {
	tb.Helper()
	trainers := make([]*tabular.Trainer, len(e.sites))
	for i, d := range e.sites {
		t, err := tabular.New(d)
		check(tb, err)
		trainers[i] = t
	}
	mean, sd := mergeStatistics(tb, trainers)
	m, err := tabular.WithZScore(e.start(tb, nil), mean, sd)
	check(tb, err)
	raw, err := json.Marshal(settings)
	check(tb, err)
	for round := 1; round <= rounds; round++ {
		local, weights := make([]*model.Model, len(trainers)), make([]float64, len(trainers))
		for i, t := range trainers {
			job := trainer.Job{Round: uint64(round), Settings: raw, Seed: trainer.Seed(taskSeed, e.members[i], uint64(round))}
			local[i], err = t.Train(tb.Context(), job, m)
			check(tb, err)
			weights[i] = float64(t.Samples())
		}
		m = average(tb, m, local, weights)
		if after != nil {
			after(round, m)
		}
	}
	return m
}

// mergeStatistics merges what the sites send, in path order, and returns the
// z-score. Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm
// for computing sample variances, 1979.
func mergeStatistics(tb testing.TB, trainers []*tabular.Trainer) (mean, sd []float64) {
	tb.Helper()
	var n, m2 []float64
	for i, t := range trainers {
		s, err := t.Statistics(tb.Context(), trainer.Job{})
		check(tb, err)
		var part [3][]float64
		for k, name := range []string{"n", "mean", "m2"} {
			part[k], err = s.Float64s(name)
			check(tb, err)
		}
		if i == 0 {
			n, mean, m2 = part[0], part[1], part[2]
			continue
		}
		for j, nb := range part[0] {
			if total := n[j] + nb; total > 0 {
				d := part[1][j] - mean[j]
				mean[j] += d * nb / total
				m2[j] += part[2][j] + d*d*n[j]*nb/total
				n[j] = total
			}
		}
	}
	return tabular.Moments{N: n, Mean: mean, M2: m2}.ZScore()
}

// average is FedAvg, naively: base + Σ n·(local − base) / Σ n in float64.
func average(tb testing.TB, base *model.Model, local []*model.Model, weights []float64) *model.Model {
	tb.Helper()
	out := base.Clone()
	var total float64
	for _, w := range weights {
		total += w
	}
	for _, spec := range base.Schema.Shared() {
		from, err := base.Float32s(spec.Name)
		check(tb, err)
		sum := make([]float64, len(from))
		for i, l := range local {
			v, err := l.Float32s(spec.Name)
			check(tb, err)
			for j := range v {
				sum[j] += weights[i] * (float64(v[j]) - float64(from[j]))
			}
		}
		for j := range from {
			from[j] = float32(float64(from[j]) + sum[j]/total)
		}
		check(tb, out.SetFloat32s(spec.Name, from))
	}
	return out
}

// isolated trains every site alone, for as many epochs, from the same initial
// model and with the z-score of scale, nil for its own, and judges it on
// everybody's test rows.
func (e *example) isolated(tb testing.TB, scale *tabular.Data, metric string) (mean, lowest, highest float64) {
	tb.Helper()
	lowest, highest = math.Inf(1), math.Inf(-1)
	s := e.settings
	s.Epochs *= e.rounds
	for i, d := range e.sites {
		by := scale
		if by == nil {
			by = d
		}
		m, err := tabular.Fit(tb.Context(), e.start(tb, by), d, s, trainer.Seed(taskSeed, e.members[i], 0), nil)
		check(tb, err)
		v := e.score(tb, m)[metric]
		mean += v / float64(len(e.sites))
		lowest, highest = min(lowest, v), max(highest, v)
	}
	return mean, lowest, highest
}

// central trains one model on all rows.
func (e *example) central(tb testing.TB, metric string) float64 {
	tb.Helper()
	s := e.settings
	s.Epochs *= e.rounds
	m, err := tabular.Fit(tb.Context(), e.start(tb, e.all), e.all, s, trainer.Seed(taskSeed, "all", 0), nil)
	check(tb, err)
	return e.score(tb, m)[metric]
}

// score pools the sums of all sites, and finds the same over all rows at once.
func (e *example) score(tb testing.TB, m *model.Model) map[string]float64 {
	tb.Helper()
	var sums []trainer.Evaluation
	for _, d := range e.sites {
		s, err := tabular.Score(tb.Context(), m, d)
		check(tb, err)
		sums = append(sums, s)
	}
	pooled := trainer.Pool(sums).Scores
	s, err := tabular.Score(tb.Context(), m, e.all)
	check(tb, err)
	scores := map[string]float64{}
	for name, v := range s.Scores() {
		scores[name] = pooled[name].Value
		if math.Abs(v-scores[name]) > 1e-9*math.Abs(v) {
			tb.Errorf("%s: pooled %v, over all rows %v", name, scores[name], v)
		}
	}
	return scores
}
