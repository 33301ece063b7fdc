package round

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
)

// lacks refuses a join whose trainer cannot do what the strategy needs of it.
// Who was welcomed before is in no later cohort.
func (m *Machine) lacks(j Join) bool {
	if m.cfg.Local == nil {
		return false
	}
	var no []string
	for _, need := range m.cfg.Local.Needs {
		if !slices.Contains(j.Capabilities, need) {
			no = append(no, need)
		}
	}
	if len(no) == 0 {
		return false
	}
	m.refuseJoin(j, verdict.Unsupported, 0, fmt.Sprintf(
		"its trainer lacks %s, which the strategy %s needs; strategy: fedavg needs nothing, or give the trainer these capabilities",
		strings.Join(no, ", "), m.cfg.Strategy))
	m.leave(Leave{Member: j.Member})
	return true
}
