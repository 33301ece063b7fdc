package round

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Released is the version that is approved for the lines. It is not changed.
type Released struct {
	Version uint64     `json:"version"`
	Model   model.Hash `json:"model"`
}

// releaseEnd releases what the task ends with: the best version or, where none was
// measured, the last one.
func (m *Machine) releaseEnd() {
	to := Released{Version: m.s.Version, Model: m.s.Base}
	why := "the last, as none was measured"
	if b := m.s.Best; b != nil {
		to, why = Released{Version: b.Version, Model: b.Model}, fmt.Sprintf("the best by %s, %v", b.Metric, b.Value)
	}
	if m.s.Released != nil && *m.s.Released == to {
		return
	}
	m.s.Released, m.dirty = &to, true
	m.tell(Fact{Kind: FactReleased, Content: to.Model, Detail: fmt.Sprintf("version %d, %s", to.Version, why)})
}
