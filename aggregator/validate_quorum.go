package aggregator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/strategy"
)

// quorumProblems holds how many members a round needs against how many there can be; least
// is what the strategy takes, which the quorum is at least, and late what closes a round of
// an asynchronous one.
func (t Task) quorumProblems(least int, late strategy.Late) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if least > maxMembers { // what follows from that nobody has written
		bad("strategy %s%s needs %d updates in a round, and a task has at most %d members: want fewer", t.Strategy, t.numbers(), least, maxMembers)
		return errs
	}
	why := ""
	switch {
	case t.Survey != nil && least > 1:
		why = fmt.Sprintf(" (histograms of fewer than %d sites tell of one of them; statistics: {allow_few: true} has them all the same)", least)
	case least > 1:
		why = fmt.Sprintf(" (strategy %s needs %d updates with these parameters)", t.Strategy, least)
	}
	if t.Quorum < 1 || t.Quorum > maxMembers {
		bad("quorum: %d, want 1 to %d", t.Quorum, maxMembers)
	}
	if t.StartWhen < t.Quorum {
		bad("start_when: %d is below the quorum of %d%s, so the first round could never commit", t.StartWhen, t.Quorum, why)
	}
	switch {
	case late.Buffer > 0 && t.Goal != 0:
		bad("goal: %d, and strategy %s closes a round of training with %d updates: leave goal out", t.Goal, t.Strategy, late.Buffer)
	case late.Buffer > 0 && t.Quorum > late.Buffer:
		bad("quorum: %d, and strategy %s closes a round of training with %d updates: want a quorum of at most that, or more updates", t.Quorum, t.Strategy, late.Buffer)
	}
	if late.Most > 0 && t.Sample < 1 {
		bad("sample: %v goes not with strategy %s: an update may come when its member is not drawn; that a round closes with %d updates takes its place", t.Sample, t.Strategy, late.Buffer)
	}
	if t.Goal != 0 && t.Goal < t.Quorum {
		bad("goal: %d is below the quorum of %d%s", t.Goal, t.Quorum, why)
	}
	if n := len(t.Members); n > 0 && n < t.Quorum && t.listed() {
		bad("members: %d, and the quorum is %d%s: no round could ever commit", n, t.Quorum, why)
	}
	if t.StartWhen > maxMembers {
		bad("start_when: %d, want at most %d", t.StartWhen, maxMembers)
	}
	return errs
}

// numbers are the strategy's parameters that are some.
func (t Task) numbers() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(t.StrategyParams)) {
		if x, ok := t.StrategyParams[name].(float64); ok {
			list = append(list, fmt.Sprintf("%s: %v", name, x))
		}
	}
	if list == nil {
		return ""
	}
	return " with " + strings.Join(list, ", ")
}
