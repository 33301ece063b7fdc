package main

import (
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/topics"
)

// nodeState is what commands read of a node's state.
type nodeState struct {
	TimestampMS int64    `json:"timestamp_ms"`
	Online      bool     `json:"online"`
	Roles       []string `json:"roles"`
	Tasks       []string `json:"tasks"`
}

// stateOf reads a state; ok is false for what is none.
func stateOf(payload []byte) (s nodeState, ok bool) {
	err := json.Unmarshal(payload, &s)
	return s, err == nil
}

// aggregates reports whether an aggregator is online there.
func (s nodeState) aggregates() bool {
	return s.Online && slices.Contains(s.Roles, topics.RoleAggregator.String())
}
