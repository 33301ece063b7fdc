package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fedmq/fedmq/internal/verdict"
)

// kind is how Prometheus is to take a number.
type kind string

const (
	gauge   kind = "gauge"
	counter kind = "counter"
)

// metric is one row of a table; T is what it is read from.
type metric[T any] struct {
	name   string
	kind   kind
	labels []string
	help   string // one line, with the unit where the name does not say it
	values func(T) []value
}

// value is one number and its labels, in the order of the metric's.
type value struct {
	v      float64
	labels []string
}

// one is the values of a metric without labels of its own.
func one[T any](f func(T) float64) func(T) []value {
	return func(s T) []value { return []value{{v: f(s)}} }
}

func truth(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// source reads one snapshot a scrape and makes all numbers of it.
type source[T any] struct {
	read    func() T
	ready   func(T) (bool, string)
	metrics []metric[T]
	descs   []*prometheus.Desc
}

func newSource[T any](read func() T, ready func(T) (bool, string), metrics []metric[T]) *source[T] {
	s := &source[T]{read: read, ready: ready, metrics: metrics}
	for _, m := range metrics {
		s.descs = append(s.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	return s
}

// Describe sends all descriptions.
func (s *source[T]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect sends all numbers.
func (s *source[T]) Collect(ch chan<- prometheus.Metric) {
	now := s.read()
	for i, m := range s.metrics {
		t := prometheus.GaugeValue
		if m.kind == counter {
			t = prometheus.CounterValue
		}
		for _, v := range m.values(now) {
			ch <- prometheus.MustNewConstMetric(s.descs[i], t, v.v, v.labels...)
		}
	}
}

// Ready reports whether the process does its work, and what it lacks.
func (s *source[T]) Ready() (bool, string) { return s.ready(s.read()) }

// Row describes one metric.
type Row struct {
	Name, Kind, Help string
	Labels           []string
}

func rows[T any](metrics []metric[T]) []Row {
	var out []Row
	for _, m := range metrics {
		out = append(out, Row{m.name, string(m.kind), m.help, slices.Clone(m.labels)})
	}
	return out
}

// refusals has every reason of the protocol from the start, so that the first
// refusal shows as an increase. What else a peer calls a reason is other.
func refusals(task string, counts map[string]uint64) (out []value) {
	other := uint64(0)
	for _, n := range counts {
		other += n
	}
	for _, r := range verdict.All() {
		if r.Refusal() {
			n := counts[r.String()]
			other -= n
			out = append(out, value{float64(n), []string{task, r.String()}})
		}
	}
	return append(out, value{float64(other), []string{task, "other"}})
}
