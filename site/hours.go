package site

import (
	"fmt"
	"strings"
	"time"
)

// Hours is the time of day in which a site moves parts of models and updates
// (S-28): from From until To, past midnight if To is the earlier one. The zero
// Hours, or any with From equal to To, is always.
type Hours struct {
	From, To time.Duration // since midnight, below 24 h, whole minutes
	UTC      bool          // else local time
}

// ParseHours reads "22:00-06:00" or "22:00-06:00 UTC".
func ParseHours(s string) (Hours, error) {
	text, utc := strings.CutSuffix(s, " UTC")
	from, to, ok := strings.Cut(text, "-")
	a, errA := time.Parse("15:04", strings.TrimSpace(from))
	b, errB := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || errA != nil || errB != nil || a.Equal(b) {
		return Hours{}, fmt.Errorf("site: hours %q, want two times of the day such as 22:00-06:00 or 22:00-06:00 UTC", s)
	}
	midnight := time.Date(a.Year(), a.Month(), a.Day(), 0, 0, 0, 0, time.UTC)
	return Hours{From: a.Sub(midnight), To: b.Sub(midnight), UTC: utc}, nil
}

func (h Hours) always() bool { return h.From == h.To }

func (h Hours) validate() error {
	for _, d := range []time.Duration{h.From, h.To} {
		if d < 0 || d >= 24*time.Hour || d%time.Minute != 0 {
			return fmt.Errorf("hours: %s since midnight, want whole minutes below 24h", d)
		}
	}
	return nil
}

func (h Hours) in(t time.Time) time.Time {
	if h.UTC {
		return t.UTC()
	}
	return t.Local()
}

// open reports whether a moment is within the hours.
func (h Hours) open(t time.Time) bool {
	t = h.in(t)
	day := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	switch {
	case h.always():
		return true
	case h.From < h.To:
		return h.From <= day && day < h.To
	}
	return day >= h.From || day < h.To
}

// change is when the hours next begin or end; as clocks are set, and days have
// 23 or 25 hours, it is to be looked at again then.
func (h Hours) change(t time.Time) time.Time {
	t = h.in(t)
	var next time.Time
	for day := range 2 {
		for _, d := range []time.Duration{h.From, h.To} {
			at := time.Date(t.Year(), t.Month(), t.Day()+day, int(d/time.Hour), int(d/time.Minute)%60, 0, 0, t.Location())
			if at.After(t) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}
