package site

import (
	"testing"
	"time"
)

func TestParseHours(t *testing.T) {
	t.Parallel()
	h, err := ParseHours("22:00-06:30 UTC")
	if err != nil || h != (Hours{From: 22 * time.Hour, To: 6*time.Hour + 30*time.Minute, UTC: true}) {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := ParseHours("9:00 - 12:05"); err != nil || h.UTC || h.From != 9*time.Hour || h.To != 12*time.Hour+5*time.Minute {
		t.Errorf("%+v, %v", h, err)
	}
	for _, s := range []string{"", "22:00", "22:00-24:00", "22:00-22:00", "22-6", "22:00-06:00 CET", "22:00:00-06:00"} {
		if h, err := ParseHours(s); err == nil {
			t.Errorf("%q is read as %+v", s, h)
		}
	}
}

// Minute by minute through two days: open and change agree with the clock.
func TestHoursOfTheDay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"22:00-06:00 UTC", "06:00-22:00 UTC", "00:00-00:01 UTC", "23:59-00:00 UTC"} {
		h, err := ParseHours(text)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 28, 0, 0, 30, 0, time.UTC)
		for range 2 * 24 * 60 {
			day := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
			want := day >= h.From && day < h.To
			if h.From > h.To {
				want = day >= h.From || day < h.To
			}
			if h.open(at) != want {
				t.Fatalf("%s: at %s open is %t", text, at, !want)
			}
			next := h.change(at)
			if !next.After(at) || h.open(next) == want || h.open(next.Add(-time.Second)) != want {
				t.Fatalf("%s: the change after %s is said to be at %s", text, at, next)
			}
			at = at.Add(time.Minute)
		}
	}
	if !(Hours{}).open(time.Now()) {
		t.Error("no hours are not always")
	}
}
