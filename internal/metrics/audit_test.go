package metrics

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/audit"
)

// The numbers of an audit log stand beside those of the process that keeps it,
// and nowhere else.
func TestWithAudit(t *testing.T) {
	t.Parallel()
	l, err := audit.Open(filepath.Join(t.TempDir(), "audit.jsonl"), "acme", func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	l.Write(audit.Entry{Event: audit.Start})
	s := Aggregator(new(aggregator.Monitor))
	for log, want := range map[*audit.Log]bool{l: true, nil: false} {
		rec := httptest.NewRecorder()
		Handler(WithAudit(s, log)).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		text := rec.Body.String()
		if strings.Contains(text, "\nfedmq_audit_waiting 1\n") != want || !strings.Contains(text, "\nfedmq_aggregator_ready 0\n") {
			t.Errorf("with a log: %v, got\n%s", want, text)
		}
	}
}
