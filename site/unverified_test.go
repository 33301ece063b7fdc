package site

import (
	"testing"
	"testing/synctest"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/bubble"
)

// A site that ends tells of every message that it refused, though it speaks of
// one kind a second.
func TestRefusedToTheEnd(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		cfg, told := h.config(&fake{}), map[string]int{}
		cfg.Audit = func(e Audited) {
			if e.Event == audit.Refused {
				told[e.Topic] += e.Count
			}
		}
		stop := h.life(cfg)
		h.welcome()
		all := []string{h.owner.Order(), h.owner.Model(), h.owner.Reply(testMember)}
		for range 2 {
			for _, topic := range all {
				h.say(topic, false, []byte("garbage"))
			}
		}
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for _, topic := range all {
			if told[topic] != 2 {
				t.Errorf("%s: told of %d messages, want 2", topic, told[topic])
			}
		}
	})
}
