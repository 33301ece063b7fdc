package aggregator

import (
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
)

// contests are the first members that two processes claim.
func (t *task) contests() (list []view.Contest) {
	for _, c := range t.m.Round().Contests() {
		if len(list) < named {
			list = append(list, view.Contest{Member: c.Member, SinceMS: c.SinceMS, Hosts: c.Hosts})
		}
	}
	return list
}

// contested tells of a member that two processes claim, with the cure.
func (t *task) contested(f round.Fact) {
	for _, c := range t.m.Round().Contests() {
		if c.Member != f.Member {
			continue
		}
		f.Detail = fmt.Sprintf("two processes since %s, hosts %s and %s: the one on %[3]s waits. End one of them; for several tasks or owners run one process with all of them",
			time.UnixMilli(c.SinceMS).UTC().Format(time.RFC3339), c.Hosts[0], c.Hosts[1])
	}
	t.log.Warn().Str("member", f.Member).Msg(f.Detail)
	t.event(f)
}
