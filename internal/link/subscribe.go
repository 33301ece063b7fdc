package link

import (
	"errors"
	"time"

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

func (c *Conn) wakeSubscriber() {
	if c.cur != nil {
		signal(c.cur.wakeSub)
	}
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
		sub.have, sub.tries = sub.want, 0
		sub.acquit()
		return
	}
	sub.tries++
	if ok && code == subackDenied && sub.tries >= denialTries {
		sub.denied = errors.New("the broker answered 0x80")
		sub.acquit()
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
		close(s.mayPost)
	}
}
