package aggregator

import (
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/round"
)

// contestView is a member that two processes claim.
type contestView struct {
	Member  string    `json:"member"`
	SinceMS int64     `json:"since_ms"`
	Hosts   [2]string `json:"hosts"` // of the process that speaks for it, and of the one that waits
}

// contests are the first members that two processes claim.
func (t *task) contests() (list []contestView) {
	for _, c := range t.m.Round().Contests() {
		if len(list) < named {
			list = append(list, contestView{c.Member, c.SinceMS, c.Hosts})
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
