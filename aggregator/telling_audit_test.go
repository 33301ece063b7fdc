package aggregator

import (
	"fmt"
	"testing"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/verdict"
)

// However many commands and messages are refused, and however they differ, the
// audit log has a few lines a second, and their counts leave none out.
func TestAuditOfFloods(t *testing.T) {
	t.Parallel()
	var lines []Audited
	task, _ := someTelling(t)
	task.by.(*listener).audit = func(e Audited) { lines = append(lines, e) }
	const n = 5000
	for i := range n {
		task.audited.signer = fmt.Sprintf("%016x", i)
		task.auditRefusedCommand(fmt.Sprintf("command %q", fmt.Sprint(i)))
		task.unheard(unheard{audit.Refused, fmt.Sprintf("line-%d", i), verdict.UnknownMember.String()})
	}
	task.auditUnheard()
	if most := maxUnheard + 2; len(lines) > most {
		t.Errorf("%d lines, want at most %d", len(lines), most)
	}
	counts := map[audit.Event]int{}
	for _, e := range lines {
		counts[e.Event] += e.Count
	}
	if counts[audit.Command] != n || counts[audit.Refused] != n {
		t.Errorf("lines speak of %v, want %d of each", counts, n)
	}
	if lines = nil; len(task.audited.unheard) != 0 {
		t.Error("they would be told again")
	}
}
