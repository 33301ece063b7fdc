package broker

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// newLogger passes the library's log on without payloads.
func newLogger(log zerolog.Logger) *slog.Logger {
	return slog.New(slogHandler{log: log, lines: &lines{}})
}

// slogHandler writes slog records to zerolog. The library logs whole packets
// (one denied publish of 1 MiB made 4.2 MB of log), so only plain values pass:
// numbers, times, short strings and errors. Everything else is dropped,
// whatever its name, and so are the names known to carry packets.
type slogHandler struct {
	log   zerolog.Logger
	lines *lines
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

// Handle writes one record, of each message one a second.
func (h slogHandler) Handle(_ context.Context, r slog.Record) error {
	e := h.log.WithLevel(zerologLevel(r.Level)).Str("from", "mochi")
	h.lines.say(e, cut(r.Message), "", r.Time, func(e *zerolog.Event) {
		for _, a := range h.attrs {
			addAttr(e, a)
		}
		r.Attrs(func(a slog.Attr) bool { addAttr(e, a); return true })
		e.Msg(cut(r.Message))
	})
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

const (
	maxKinds     = 64 // of lines
	maxAddresses = 16 // that have lines of their own, of each kind, in a second
)

// lines lets one line a second through, of each kind and address, and counts
// the others: the next line of the kind says how many were left out. Many kinds,
// or many addresses, share a line.
type lines struct {
	mu    sync.Mutex
	kinds map[string]*kindLines
}

type kindLines struct {
	last map[string]time.Time // by address
	more int
}

// say lets fill finish and send e, or discards it. A port in remote is ignored.
func (l *lines) say(e *zerolog.Event, kind, remote string, now time.Time, fill func(*zerolog.Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kind(kind)
	at := hostOf(remote)
	last, known := k.last[at]
	if !known && len(k.last) >= maxAddresses {
		for a, t := range k.last {
			if now.Sub(t) >= time.Second {
				delete(k.last, a)
			}
		}
		if len(k.last) >= maxAddresses {
			at = ""
			last, known = k.last[at]
		}
	}
	if known && now.Sub(last) < time.Second {
		k.more++
		return
	}
	if k.more > 0 {
		e.Int("suppressed", k.more)
	}
	k.last[at], k.more = now, 0
	fill(e)
}

func (l *lines) kind(name string) *kindLines {
	if l.kinds == nil {
		l.kinds = map[string]*kindLines{}
	}
	if l.kinds[name] == nil && len(l.kinds) >= maxKinds {
		name = ""
	}
	if l.kinds[name] == nil {
		l.kinds[name] = &kindLines{last: map[string]time.Time{}}
	}
	return l.kinds[name]
}

// hostOf is an address without its port.
func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}
