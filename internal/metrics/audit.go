package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fedmq/fedmq/internal/audit"
)

// auditMetrics is the table of an audit log.
func auditMetrics() []metric[audit.Stats] {
	return []metric[audit.Stats]{
		{"fedmq_audit_lines_total", counter, nil, "Lines of the audit log on disk.", one(func(s audit.Stats) float64 { return float64(s.Written) })},
		{"fedmq_audit_waiting", gauge, nil, "Lines that wait for the disk, 16384 at most; above 0 for long: it is full or broken.", one(func(s audit.Stats) float64 { return float64(s.Waiting) })},
		{"fedmq_audit_lost_total", counter, nil, "Lines that were lost because too many waited. The log counts them too.", one(func(s audit.Stats) float64 { return float64(s.Lost) })},
	}
}

// audited is a process that keeps an audit log.
type audited struct {
	Source
	lines *source[audit.Stats]
}

// WithAudit shows a process and its audit log; a nil log is none.
func WithAudit(s Source, l *audit.Log) Source {
	if l == nil {
		return s
	}
	return audited{s, newSource(l.Stats, nil, auditMetrics())}
}

// Describe sends all descriptions.
func (a audited) Describe(ch chan<- *prometheus.Desc) {
	a.Source.Describe(ch)
	a.lines.Describe(ch)
}

// Collect sends all numbers.
func (a audited) Collect(ch chan<- prometheus.Metric) {
	a.Source.Collect(ch)
	a.lines.Collect(ch)
}
