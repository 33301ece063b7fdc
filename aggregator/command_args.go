package aggregator

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Args are what a command is about.
type Args struct {
	Version  *uint64         `json:"version,omitempty"`  // of release and rollback: of the model
	To       []string        `json:"to,omitempty"`       // of release: filters of the paths that run the version first; ascending
	Members  []string        `json:"members,omitempty"`  // of exclude and include: paths below the namespace; ascending
	Settings json.RawMessage `json:"settings,omitempty"` // of set: JSON object, numbers and texts of train by name; null takes one back

	set map[string]any // Settings, read
}

// takes is the argument of each command that has one.
var takes = map[round.Op]string{
	round.OpRelease: "version", round.OpRollback: "version", round.OpExclude: "members", round.OpInclude: "members", round.OpSet: "settings",
}

// check reports arguments that are not the one which a command takes.
func (a *Args) check(op round.Op, takes string) error {
	if a == nil {
		a = &Args{}
	}
	for name, is := range map[string]bool{"version": a.Version != nil, "members": len(a.Members) > 0, "settings": a.Settings != nil} {
		if is != (name == takes) {
			return fmt.Errorf("args: %s takes %s and nothing else", op, takes)
		}
	}
	if a.Settings != nil {
		if _, err := readSettings(a.Settings); err != nil {
			return err
		}
	}
	if len(a.To) > 0 && op != round.OpRelease {
		return fmt.Errorf("args: %s takes no to", op)
	}
	if len(a.To) > wire.MaxFilters {
		return fmt.Errorf("args: to: %d filters, want at most %d", len(a.To), wire.MaxFilters)
	}
	for i, f := range a.To {
		if err := topics.CheckPathFilter(f); err != nil {
			return fmt.Errorf("args: to: %w", err)
		}
		if i > 0 && f <= a.To[i-1] {
			return fmt.Errorf("args: to: %s does not come after %s", f, a.To[i-1])
		}
	}
	for i, path := range a.Members {
		if err := topics.CheckPath(path); err != nil {
			return fmt.Errorf("args: members: %w", err)
		}
		if i > 0 && path <= a.Members[i-1] {
			return fmt.Errorf("args: members: %s does not come after %s", path, a.Members[i-1])
		}
	}
	return nil
}
