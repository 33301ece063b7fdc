// Package python holds the Python package fedmq_trainer, embedded: "fedmq init"
// puts it beside a script, so that the two always fit. It has no Go of its own.
package python

import "embed"

// Files are those of the directory fedmq_trainer.
//
//go:embed fedmq_trainer/*.py fedmq_trainer/py.typed
var Files embed.FS
