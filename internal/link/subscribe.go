package link

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Numbers of subscribing (C-7).
const (
	denialTries  = 3                      // 0x80 this often in a row is a denial, as mochi says it for a packet id it holds itself
	firstRetry   = 100 * time.Millisecond // after a failure code, fourfold each time
	maxRetry     = 30 * time.Second
	subackTime   = 60 * time.Second // no SUBACK within this: asked again with a new packet id
	subackDenied = 0x80
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

// Subscribe adds filters to the table and asks the broker for them, now when
// the link is up and again at each connect. A filter that is already there is
// asked for again, with the new QoS. Refusals arrive as State.Err.
func (c *Conn) Subscribe(filters ...Filter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.table
	for _, f := range filters {
		f.QoS = min(f.QoS, 1)
		s := t.subs[f.Topic]
		if s == nil {
			s = &subscription{}
			t.subs[f.Topic] = s
			t.order = append(t.order, f.Topic)
		}
		s.Filter = f
		s.again()
		t.unsub = without(t.unsub, f.Topic)
	}
	c.wakeSubscriber()
}

// Unsubscribe takes filters out of the table. The UNSUBSCRIBE sent is a hint:
// messages may still arrive (C-7).
func (c *Conn) Unsubscribe(filters ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.table
	for _, f := range filters {
		if t.subs[f] == nil {
			continue
		}
		delete(t.subs, f)
		t.order = without(t.order, f)
		if c.cur != nil {
			t.unsub = append(t.unsub, f)
		}
	}
	c.wakeSubscriber()
}

// Resubscribe asks again for filters of the table, so that the broker sends
// their retained messages once more. While the link is down it does nothing, as
// the next connect asks for everything.
func (c *Conn) Resubscribe(filters ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range filters {
		if s := c.table.subs[f]; s != nil {
			s.again()
		}
	}
	c.wakeSubscriber()
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
		s.until = now.Add(QuarantineTime)
	}
}

func (c *Conn) wakeSubscriber() {
	if c.cur != nil {
		signal(c.cur.wakeSub)
	}
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
		if !s.open() {
			continue
		}
		if d := s.notBefore.Sub(now); d > 0 {
			if wait == 0 || d < wait {
				wait = d
			}
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

// subscribe keeps the broker's subscriptions equal to the table while the
// session lives, and announces the link when all is settled.
func (s *session) subscribe() {
	c := s.conn
	for !s.ended() {
		c.mu.Lock()
		batch, asks, wait := c.table.next(time.Now())
		unsub := c.table.unsub
		c.table.unsub = nil
		if c.table.settled() {
			s.announce()
		}
		c.mu.Unlock()
		if len(unsub) > 0 {
			s.client.Unsubscribe(unsub...) // a hint: its token is not waited for
		}
		if len(batch) > 0 {
			s.ask(batch, asks)
			continue
		}
		var rest <-chan time.Time
		if wait > 0 {
			rest = time.After(wait)
		}
		select {
		case <-s.wakeSub:
		case <-rest:
		case <-s.guard.done:
			return
		}
	}
}

// ask sends one SUBSCRIBE and enters the codes of its SUBACK.
func (s *session) ask(batch []Filter, asks []uint64) {
	filters := make(map[string]byte, len(batch))
	for _, f := range batch {
		filters[f.Topic] = f.QoS
	}
	s.mu.Lock()
	s.asking, s.askedAt = batch, time.Now()
	s.mu.Unlock()
	token := s.client.SubscribeMultiple(filters, nil).(*mqtt.SubscribeToken)
	var codes map[string]byte
	select {
	case <-token.Done():
		if token.Error() == nil { // says nothing yet about the filters (C-7)
			codes = token.Result()
		}
	case <-time.After(subackTime):
	case <-s.guard.done:
	}
	if s.ended() {
		return // no answer: asked for in the next connection
	}
	s.mu.Lock()
	s.asking = nil
	s.mu.Unlock()
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	for i, f := range batch {
		if sub := s.conn.table.subs[f.Topic]; sub != nil && sub.want == asks[i] {
			code, ok := codes[f.Topic]
			s.answer(sub, code, ok)
		}
	}
}

// answer enters one SUBACK code. Only a repeated 0x80 is a denial: any other
// failure, or none at all, is asked again with a new packet id.
func (s *session) answer(sub *subscription, code byte, ok bool) {
	if ok && code <= 2 {
		sub.have, sub.tries, sub.cuts = sub.want, 0, 0
		return
	}
	sub.tries++
	if ok && code == subackDenied && sub.tries >= denialTries {
		sub.denied = errors.New("the broker answered 0x80")
		s.conn.log.Error().Str("filter", sub.Topic).Msg("subscription denied")
		if s.announced {
			s.announced = false // tell again, with the new denial
		}
		return
	}
	sub.notBefore = time.Now().Add(min(firstRetry<<(2*min(sub.tries-1, 8)), maxRetry))
}

// announce says Up once, and again when a denial came later. The caller holds
// the Conn's mu.
func (s *session) announce() {
	c := s.conn
	if s.announced || c.cur != s {
		return
	}
	s.announced = true
	_, err := c.table.denials()
	first := c.up != s
	c.up = s
	c.emit(State{Up: true, Epoch: s.epoch, Err: err})
	if first {
		c.log.Info().Uint64("epoch", s.epoch).Int("filters", len(c.table.subs)).Msg("link up")
		s.goes.Go(s.post)
	}
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
