package virtual

import (
	"testing"
	"time"

	"github.com/fedmq/fedmq/wire"
)

// An owner answers a doctor that asks at a member's path, at most once a second, and
// counts it; membership, rounds, and the member itself see nothing of it (W-42).
func TestDoctorAsks(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sign(three...) // who asks signs nothing
		w.aggregate(w.task())
		member := three[0]
		c := w.client("doctor", own("round"), own("event"), own("reply/"+member), own("reply/"+three[1]))
		time.Sleep(5 * time.Second)
		for _, m := range []string{member, three[1], member} { // the later ones within the second
			c.say(memberTopic(m, "join"), []byte(wire.DoctorWord), false)
		}
		v := c.awaitView("the count", 3*time.Second, func(v view) bool { return v.Asked > 0 })
		time.Sleep(2 * time.Second)
		answers := c.all(own("reply/" + member))
		if len(answers) != 1 || len(answers[0].Payload) != 0 || len(c.all(own("reply/"+three[1]))) != 0 {
			t.Errorf("answers %v", answers)
		}
		if v.Asked != 1 || v.Members != 0 || len(v.Refusals) != 0 || len(c.all(own("event"))) != 0 {
			t.Errorf("the view is %+v, %d events", v, len(c.all(own("event"))))
		}
		for _, m := range three {
			w.join(m, walker{takes: 5 * time.Second})
		}
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" && v.Members == 3 })
		c.say(memberTopic(member, "join"), []byte(wire.DoctorWord), false)
		c.awaitView("the second count", 3*time.Second, func(v view) bool { return v.Asked == 2 })
		if got := w.statusError(memberTopic(member, "status")); got != "" {
			t.Errorf("the site's status says %q", got)
		}
		w.finished(time.Minute)
		for _, r := range w.all()[1:] {
			if counted(r) != 3 {
				t.Errorf("round %d counts %d", r.Round, counted(r))
			}
		}
	})
}
