package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
)

// oddNames are names that some brokers do not take (C-22), and what they are called.
var oddNames = []struct{ level, what string }{{"a.b", "."}, {"a*b", "*"}, {"a b", "blanks"}}

// takes returns an error for a topic whose names the broker does not take.
func (e *exam) takes(ctx context.Context, topic string) error {
	cfg := e.cfg.Link
	cfg.ClientID = e.prefix + "asks"
	if err := link.CheckNames(ctx, cfg, topic); errors.Is(err, link.ErrNames) {
		return err
	}
	return ctx.Err()
}

// names says which names the broker takes for others, or not at all.
func (e *exam) names(ctx context.Context) error {
	for _, n := range oddNames {
		err := e.takes(ctx, e.owner.Reply(n.level))
		if errors.Is(err, link.ErrNames) {
			e.report.Names = append(e.report.Names, n.what)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) names() string {
	if len(r.Names) == 0 {
		return "taken"
	}
	return "without " + strings.Join(r.Names, ", ")
}
