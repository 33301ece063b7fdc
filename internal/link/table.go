package link

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// table is the own table of subscriptions (C-8).
type table struct {
	subs  map[string]*subscription
	order []string // as added
	unsub []string // UNSUBSCRIBEs to send
}

// subscription is one filter of the table.
type subscription struct {
	Filter
	want, have uint64 // askings wanted and granted; equal: nothing to do
	tries      int    // failure codes in a row
	notBefore  time.Time
	cuts       int       // links the broker cut at it (C-16)
	until      time.Time // quarantined until then
	denied     error     // refused in this connection
}

func (s *subscription) open() bool { return s.want != s.have && s.denied == nil }

// checkFilter says why a filter cannot be subscribed to.
func checkFilter(f string) error {
	if f == "" || len(f) > 65535 || !utf8.ValidString(f) || strings.ContainsRune(f, 0) {
		return errors.New("not a topic filter")
	}
	levels := strings.Split(f, "/")
	for i, l := range levels {
		if strings.ContainsAny(l, "+#") && len(l) > 1 || l == "#" && i < len(levels)-1 {
			return errors.New("wildcard in a wrong place")
		}
	}
	return nil
}

// again wants a SUBACK anew.
func (s *subscription) again() {
	s.want++
	s.tries, s.notBefore, s.denied = 0, time.Time{}, nil
	if err := checkFilter(s.Topic); err != nil {
		s.denied = err
	} else if time.Now().Before(s.until) {
		s.denied = errors.New("the broker cut the link at it twice") // C-16
	}
}

// blame counts a loss of the link against a filter without SUBACK; sole: it was
// asked for alone, and no publish was in flight.
func (s *subscription) blame(sole bool, now time.Time) {
	if !sole {
		s.cuts = max(s.cuts, 1)
		return
	}
	if s.cuts++; s.cuts >= 2 {
		s.until = now.Add(quarantine(s.cuts))
	}
}

// acquit forgets the losses: the broker has answered, and not cut the link.
func (s *subscription) acquit() { s.cuts, s.until = 0, time.Time{} }

// rests tells how long a filter in quarantine is not asked for; 0 for any other.
// From QuarantineTime on only the next connect asks again: what is really denied
// costs the link each time.
func (s *subscription) rests(now time.Time) time.Duration {
	if s.denied == nil || s.until.IsZero() || quarantine(s.cuts) == QuarantineTime {
		return 0
	}
	return max(s.until.Sub(now), 1)
}

// reset prepares the table for a new connection (C-8).
func (t *table) reset() {
	t.unsub = nil
	for _, s := range t.subs {
		s.again()
	}
}

// next returns the filters to ask for now, at most one SUBSCRIBE's worth, and
// how long to wait for the next one that rests; 0 for no such. A filter that
// may have cost the link travels alone (C-16).
func (t *table) next(now time.Time) (batch []Filter, asks []uint64, wait time.Duration) {
	for _, f := range t.order {
		s := t.subs[f]
		rest := s.rests(now)
		if rest > 0 && !now.Before(s.until) {
			s.again()
			rest = 0
		}
		if s.open() {
			rest = max(s.notBefore.Sub(now), 0)
		}
		if rest > 0 && (wait == 0 || rest < wait) {
			wait = rest
		}
		if rest > 0 || !s.open() {
			continue
		}
		if s.cuts > 0 && len(batch) > 0 {
			continue
		}
		batch, asks = append(batch, s.Filter), append(asks, s.want)
		if s.cuts > 0 || len(batch) == filtersPerSub {
			break
		}
	}
	return batch, asks, wait
}

// settled tells whether every filter has its SUBACK.
func (t *table) settled() bool {
	for _, s := range t.subs {
		if s.open() {
			return false
		}
	}
	return true
}

// denials returns the refused filters, sorted, and an error naming them.
func (t *table) denials() ([]string, error) {
	var names []string
	var errs []error
	for f, s := range t.subs {
		if s.denied != nil {
			names = append(names, f)
		}
	}
	sort.Strings(names)
	for _, f := range names {
		errs = append(errs, fmt.Errorf("%w: %s: %w", ErrDenied, f, t.subs[f].denied))
	}
	return names, errors.Join(errs...)
}

func without(list []string, s string) []string {
	out := list[:0]
	for _, l := range list {
		if l != s {
			out = append(out, l)
		}
	}
	return out
}
