package site

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/fedmq/fedmq/internal/member"
)

// ErrSuperseded ends [Run] when the aggregator says that another process has
// taken over: two use one path, or one data directory was copied. Started again,
// this one waits until the other is silent (S-20).
var ErrSuperseded = errors.New("site: another process has taken over this member path; end one of them. " + onePath)

// onePath is the cure where two processes were meant.
const onePath = "One member path is one process: several tasks, of several owners too, stand under tasks in one configuration file, each with a name of its own"

// standby ends a life of a site while another process, on another disk, speaks
// for the member. This one leaves the broker, where both may have one client id,
// and comes again later (S-20).
type standby struct{ member.Wait }

func (w standby) Error() string {
	return "site: another process, on host " + w.host() + ", speaks for this member path"
}

// host is where the other process runs.
func (w standby) host() string { return cmp.Or(w.Host, "unknown") }

// Times between two looks whether the other process is gone.
const (
	standbyFirst = 90 * time.Second
	standbyMost  = 10 * time.Minute
)

// wait says that this process waits, and does so; it reports whether it may come
// again. At first it waits as it is told, which is short where the other may be gone.
// Each further time in a row it waits longer: a look takes the other's connection.
func (w standby) wait(ctx context.Context, cfg Config, times int) bool {
	d := time.Duration(w.For) * time.Millisecond
	if times > 0 {
		d = max(d, min(standbyFirst<<min(times-1, 8), standbyMost))
	}
	var r [2]byte
	if _, err := io.ReadFull(cfg.Rand, r[:]); err == nil {
		d += d * time.Duration(r[0]) / 2560 // up to a tenth: two that wait do not come together
	}
	cfg.Log.Error().Str("member", cfg.Member).Str("other_host", w.host()).Stringer("wait", d.Round(time.Second)).
		Msg("another process speaks for this member path; this one waits until that one is silent. End one of them. " + onePath)
	cfg.Monitor.stand(w.host())
	defer cfg.Monitor.stand("")
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
