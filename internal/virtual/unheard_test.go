package virtual

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/site"
)

// A site that nobody hears, although the aggregator is there, says so after the
// second send without an answer: in its log, on its status, and it is not ready.
// Here its path is none of the members; a denied topic looks the same to it.
func TestNobodyHears(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		log, monitor := &sink{}, new(site.Monitor)
		w.tune = func(cfg *site.Config) {
			cfg.Log, cfg.Monitor, cfg.Username = zerolog.New(log), monitor, "berlin"
		}
		w.join("a/line-9", walker{})
		time.Sleep(2 * time.Minute)
		const want = "no answer to the join on acme/a/line-9/_fl_v1/quality/join"
		if got := w.statusError(memberTopic("a/line-9", "status")); !strings.HasPrefix(got, want) || !strings.Contains(got, "user berlin") ||
			!strings.Contains(got, "reading acme/_fl_v1/quality/reply/a/line-9") {
			t.Errorf("status says %q", got)
		}
		if s := monitor.Stats(); len(s.Tasks) != 1 || !strings.HasPrefix(s.Tasks[0].Unheard, want) {
			t.Errorf("the monitor shows %+v", s.Tasks)
		}
		log.mu.Lock()
		n := strings.Count(log.b.String(), `"level":"warn","task":"quality","topic":"acme/a/line-9/_fl_v1/quality/join"`)
		log.mu.Unlock()
		if n != 1 {
			t.Errorf("the log says it %d times", n)
		}
		if len(log.lines(notHeard)) > 0 {
			t.Error("it says that no aggregator is there")
		}
	})
}
