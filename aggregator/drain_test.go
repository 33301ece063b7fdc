package aggregator

import (
	"testing"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/topics"
)

// TestDrainKeepsWhatItTakes: of a long queue a batch is taken in, and nothing is
// taken out that is not.
func TestDrainKeepsWhatItTakes(t *testing.T) {
	t.Parallel()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	own, err := ns.Owner("", "quality")
	if err != nil {
		t.Fatal(err)
	}
	member, err := ns.Member("berlin", "quality")
	if err != nil {
		t.Fatal(err)
	}
	machine := owner.New(owner.Config{Rand: func(p []byte) { clear(p) }})
	machine.Step(1, owner.LinkUp{})
	machine.Step(1, owner.Echo{Own: true})
	a := &aggregator{ns: ns, self: own, machine: machine, tasks: map[string]*task{"quality": {}}}
	for _, queued := range []int{1, batch - 1, batch, batch + 1, 3 * batch} {
		a.tasks["quality"].counts.bytesUp = 0
		m := link.Message{Topic: member.Status(), Payload: []byte{1}} // a byte each, and nothing to do
		more := make(chan link.Message, queued)
		for range queued - 1 {
			more <- m
		}
		a.drain(m, more)
		taken := queued - len(more)
		if got := int(a.tasks["quality"].counts.bytesUp); got != taken || taken != min(queued, batch) {
			t.Errorf("of %d messages %d were taken out of the queue and %d received, want %d", queued, taken, got, min(queued, batch))
		}
	}
}
