package aggregator

import (
	"errors"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// problem translates a refusal of package wire.
func problem(err error) (verdict.Reason, string) {
	var r *wire.Refusal
	if !errors.As(err, &r) {
		return verdict.Malformed, detailOf(err)
	}
	reason, ok := verdict.Parse(r.Reason)
	if !ok {
		reason = verdict.Malformed
	}
	return reason, r.Detail
}
