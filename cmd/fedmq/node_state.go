package main

import (
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

// stateOf reads a state; ok is false for what is none.
func stateOf(payload []byte) (s view.State, ok bool) {
	err := json.Unmarshal(payload, &s)
	return s, err == nil
}

// aggregates reports whether an aggregator is online there.
func aggregates(s view.State) bool {
	return s.Online && slices.Contains(s.Roles, topics.RoleAggregator.String())
}
