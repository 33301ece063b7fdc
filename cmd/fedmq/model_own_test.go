package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// A site that runs keeps its directory to itself, and trains on.
func TestOwnOfASiteThatRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	check(t, err)
	a := about{Task: "line"}
	if err := a.settle(model.New(nil), dir); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "--own: ") || !strings.Contains(err.Error(), "the site runs; stop it") {
		t.Errorf("%v", err)
	}
	check(t, s.Close())
}
