package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// Config is one process of an owner.
type Config struct {
	Instance wire.Nonce     // of the process
	Uploads  int            // updates that arrive in parts at once, of all tasks together
	Rand     func(p []byte) // fills p: times of heartbeats
	Heeds    bool           // what members claim to have seen stops a task
	Tasks    []TaskConfig
}

// TaskConfig is a task as its owner set it, and as it lies on the disk.
type TaskConfig struct {
	Name  string
	Round round.Config

	State   *round.State // nil: it never ran
	Members []round.Member
	Journal []round.Verdict

	Model Model // the current base
	Slots int   // versions of a model in parts that lie on the broker
	Kept  bool  // updates of the open round are on the disk: they are accepted again
	Stale []transfer.PartFilter

	// Inside reports whether a machine within the attempt that was open has to finish
	// it after a crash, instead of beginning the next one; nil: there is none.
	Inside func(open wire.Stamp) bool
}
