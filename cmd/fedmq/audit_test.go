package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/internal/audit"
)

// cmdAuditlines checks that a file is an audit log of a node: whole lines, known
// fields, in order of time, from start to stop: auditlines file node.
func cmdAuditlines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: auditlines file node")
	}
	text := ts.ReadFile(args[0])
	if !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%s ends within a line", args[0])
	}
	var all []audit.Entry
	for line := range bytes.Lines([]byte(text)) {
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		var e audit.Entry
		if err := dec.Decode(&e); err != nil {
			ts.Fatalf("%s: %q: %v", args[0], line, err)
		}
		if e.Event == "" || e.Node != args[1] || e.Time.IsZero() {
			ts.Fatalf("%s: %q: want event, time and the node %s", args[0], line, args[1])
		}
		if n := len(all); n > 0 && e.Time.Before(all[n-1].Time) {
			ts.Fatalf("%s: %q is older than the line before", args[0], line)
		}
		all = append(all, e)
	}
	if all[0].Event != audit.Start || all[len(all)-1].Event != audit.Stop {
		ts.Fatalf("%s goes from %s to %s, want start and stop", args[0], all[0].Event, all[len(all)-1].Event)
	}
}
