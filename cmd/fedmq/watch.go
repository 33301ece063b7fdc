package main

import (
	"context"
)

type watchCmd struct {
	watchFlags
}

func (c *watchCmd) Run(ctx context.Context, logs *logFlags) error { return nil }
