package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// What telling asks of the aggregator and of the task.

func (a *aggregator) post(m link.Message)   { a.out.post(m) }
func (a *aggregator) connected() bool       { return a.up }
func (a *aggregator) live() bool            { return a.up && a.machine.Started() }
func (a *aggregator) audits() func(Audited) { return a.cfg.Audit }
func (t *task) current() *round.State       { return t.state }
func (t *task) welcomed() int               { return t.m.Round().Welcomed() }

func (a *aggregator) operatorOf(kid [8]byte) string {
	k, ok := a.opener.Keys.Of(kid)
	if !ok {
		return ""
	}
	return a.ns.Node(k.Path)
}
