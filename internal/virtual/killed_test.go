package virtual

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// largeParts are long enough for a broker to write them behind.
const largeParts = 32 << 10

// killBroker ends the broker as kill -9 does: the next one has what was on the disk.
func (w *world) killBroker() {
	w.t.Helper()
	dir := filepath.Join(w.dir, "broker")
	synctest.Wait()
	check(w.t, os.CopyFS(dir+".then", os.DirFS(dir)))
	w.stopBroker()
	check(w.t, os.RemoveAll(dir))
	check(w.t, os.Rename(dir+".then", dir))
}

// keptModel is the hash of the model that the broker has, and its version; zero where
// parts are missing or are of another.
func (w *world) keptModel() (h model.Hash, version uint64) {
	w.t.Helper()
	c := w.client("kept", own("model"), own("model/+/+"))
	time.Sleep(time.Second)
	got := map[string][]byte{}
	for _, m := range c.messages() {
		got[m.Topic] = m.Payload
	}
	_, mf := w.manifest(got[own("model")])
	var all []byte
	for i := range mf.Blob.Count() {
		p, err := wire.DecodePart(got[partTopic(int(mf.Slot), i)], largeParts)
		if err != nil || p.Blob != mf.Blob.Key() || !mf.Blob.Holds(i, p.Data) {
			return h, mf.Version
		}
		all = append(all, p.Data...)
	}
	return model.ContentOf(all), mf.Version
}

// A broker that is killed while nobody is there has the last model, from ten seconds
// after it came; one that stops has it at once.
func TestBrokerHasTheLastModel(t *testing.T) {
	for name, tc := range map[string]struct {
		rest time.Duration
		end  func(*world)
		want bool
	}{
		"killed late":    {store.RestFor + 2*time.Second, (*world).killBroker, true},
		"killed at once": {0, (*world).killBroker, false},
		"stopped":        {0, (*world).stopBroker, true},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "killed late" {
				racing.Skip(t, "killed late has the goroutines of all")
			}
			inBubble(t, func(w *world) {
				w.keeps = true
				w.stopBroker()
				w.startBroker()
				w.parts(largeParts)
				task := w.large()
				task.Rounds = 100
				w.aggregate(task)
				for i, m := range three {
					w.join(m, walker{rows: 10 * (i + 1), takes: 4 * time.Second})
				}
				r := w.recorded(3, record.Committed, time.Minute)
				time.Sleep(time.Second)
				for _, m := range three {
					w.end(m)
				}
				w.end(aggregatorName)
				time.Sleep(tc.rest)
				tc.end(w)
				w.startBroker()
				if h, version := w.keptModel(); version != 3 || (h == r.Model) != tc.want {
					t.Errorf("version %d, the model is whole: %v, want %v", version, h == r.Model, tc.want)
				}
			})
		})
	}
}

// The broker is killed while a site fetches a model, of which the disk has an earlier
// version: the owner fills it again, and the round goes on.
func TestBrokerIsKilledInAPull(t *testing.T) {
	inBubble(t, func(w *world) {
		w.keeps = true
		w.stopBroker()
		w.startBroker()
		w.parts(largeParts)
		w.network(three[2], &line{rate: 40_000})
		w.aggregate(w.large())
		for i, m := range three {
			w.join(m, walker{rows: 10 * (i + 1), takes: 2 * store.RestFor})
		}
		w.recorded(2, record.Committed, 5*time.Minute)
		time.Sleep(4 * time.Second) // a pull takes ten
		w.killBroker()
		time.Sleep(5 * time.Second)
		w.startBroker()
		w.finished(20 * time.Minute)
		w.endAll()
		w.settled(three...)
		sameModels(w, w.history(), whole(w))
	})
}
