package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// newLogger passes the library's log on without payloads.
func newLogger(log zerolog.Logger) *slog.Logger { return slog.New(slogHandler{log: log}) }

// slogHandler writes slog records to zerolog. The library logs whole packets
// (one denied publish of 1 MiB made 4.2 MB of log), so only plain values pass:
// numbers, times, short strings and errors. Everything else is dropped,
// whatever its name, and so are the names known to carry packets.
type slogHandler struct {
	log   zerolog.Logger
	attrs []slog.Attr
}

var payloadKeys = map[string]bool{"pk": true, "packet": true, "payload": true}

// Enabled leaves out the library's chatter: what it calls Info is of interest
// to its own developers.
func (h slogHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.log.GetLevel() <= zerologLevel(l)
}

func zerologLevel(l slog.Level) zerolog.Level {
	switch {
	case l >= slog.LevelError:
		return zerolog.ErrorLevel
	case l >= slog.LevelWarn:
		return zerolog.WarnLevel
	default:
		return zerolog.DebugLevel
	}
}

// Handle writes one record.
func (h slogHandler) Handle(_ context.Context, r slog.Record) error {
	e := h.log.WithLevel(zerologLevel(r.Level)).Str("from", "mochi")
	for _, a := range h.attrs {
		addAttr(e, a)
	}
	r.Attrs(func(a slog.Attr) bool { addAttr(e, a); return true })
	e.Msg(cut(r.Message))
	return nil
}

// WithAttrs adds attributes to every record.
func (h slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup ignores the group; the library uses none.
func (h slogHandler) WithGroup(string) slog.Handler { return h }

func addAttr(e *zerolog.Event, a slog.Attr) {
	if payloadKeys[a.Key] {
		return
	}
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		e.Str(a.Key, cut(v.String()))
	case slog.KindInt64:
		e.Int64(a.Key, v.Int64())
	case slog.KindUint64:
		e.Uint64(a.Key, v.Uint64())
	case slog.KindFloat64:
		e.Float64(a.Key, v.Float64())
	case slog.KindBool:
		e.Bool(a.Key, v.Bool())
	case slog.KindDuration:
		e.Dur(a.Key, v.Duration())
	case slog.KindTime:
		e.Time(a.Key, v.Time())
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			e.Str(a.Key, cut(err.Error()))
		}
	}
}

// cut shortens what a client may have chosen.
func cut(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// limiter lets one line a second through and counts the others.
type limiter struct {
	mu   sync.Mutex
	last time.Time
	more int
}

// log lets fill finish and send e, or discards it.
func (l *limiter) log(e *zerolog.Event, now time.Time, fill func(*zerolog.Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < time.Second {
		l.more++
		return
	}
	if l.more > 0 {
		e.Int("suppressed", l.more)
	}
	l.last, l.more = now, 0
	fill(e)
}
