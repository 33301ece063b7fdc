package broker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// A user's Wills that wait are as many as its sessions may be, whatever client
// ids it invents; what was sent, or will not be, makes room.
func TestDelayedWillsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := plant(t)
		cfg.Limits.Site.Sessions = 3
		b, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		begin := func(user, id string, delay uint32) *mqtt.Client {
			cl := b.server.NewClient(nil, "test", user+id, false)
			cl.Properties.Username = []byte(user)
			cl.Properties.Will.WillDelayInterval = delay
			b.hook.begin(cl)
			b.server.Clients.Add(cl)
			return cl
		}
		gone := func(cl *mqtt.Client) {
			cl.Stop(nil)
			b.hook.OnDisconnect(cl, nil, false)
		}
		for i := range 100 {
			cl := begin("berlin/line-1", fmt.Sprint(":", i), 3600)
			if waits := cl.Properties.Will.WillDelayInterval > 0; waits != (i < 3) {
				t.Errorf("Will %d waits: %v", i, waits)
			}
			gone(cl)
		}
		if cl := begin("gera/line-1", "", 60); cl.Properties.Will.WillDelayInterval != 60 {
			t.Error("another user's Will does not wait")
		}
		if cl := begin("berlin/line-1", ":1", 5); cl.Properties.Will.WillDelayInterval != 5 {
			t.Error("one that comes back has no place")
		} else {
			gone(cl)
		}
		if cl := begin("berlin/line-1", ":x", 5); cl.Properties.Will.WillDelayInterval != 0 {
			t.Error("there is a place too many")
		}
		time.Sleep(8 * time.Second) // the one of 5 s is sent
		if cl := begin("berlin/line-1", ":x", 5); cl.Properties.Will.WillDelayInterval != 5 {
			t.Error("what was sent holds its place")
		} else {
			cl.Properties.Will = mqtt.Will{} // it said goodbye
			gone(cl)
		}
		if cl := begin("berlin/line-1", ":y", 5); cl.Properties.Will.WillDelayInterval != 5 {
			t.Error("what will not be sent holds its place")
		}
	})
}
