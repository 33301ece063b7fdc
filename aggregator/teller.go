package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// What telling asks of the aggregator and of the task.

func (a *aggregator) post(m link.Message)   { a.conn.Post(m) }
func (a *aggregator) connected() bool       { return a.up }
func (a *aggregator) heard() bool           { return a.up && a.machine.Started() }
func (a *aggregator) audits() func(Audited) { return a.cfg.Audit }
func (t *task) current() *round.State       { return t.state }
func (t *task) welcomed() int               { return t.m.Round().Welcomed() }

func (a *aggregator) operatorOf(key string) string {
	node := ""
	for _, k := range a.cfg.Keys {
		if wire.KeyIDOf(k.Public) == key {
			node = a.ns.Node(k.Path)
		}
	}
	return node
}
