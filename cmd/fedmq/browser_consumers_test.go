package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
)

// TestPageConsumers: the page says which version runs where, which one's command runs and for
// how long, and what could not be taken.
func TestPageConsumers(t *testing.T) {
	chromium(t)
	url := serveBroker(t)
	b := openTab(t, serveDashboard(t, url))
	publish := publisher(t, url)
	publish(crowdRound(7))
	now := time.Now().UnixMilli()
	say := func(path string, c view.Consumer) {
		c.Schema, c.TimestampMS = view.ConsumerSchema, now
		publish(link.Message{Topic: "acme/" + path + "/_fl_v1/state", QoS: 1, Retained: true, Payload: view.JSON(view.State{
			Schema: view.StateSchema, TimestampMS: now, Online: path != "oslo/gw", Roles: []string{"consumer"}, Tasks: []string{"press-quality"},
		})})
		publish(link.Message{Topic: "acme/" + path + "/_fl_v1/press-quality/status", QoS: 1, Retained: true, Payload: view.JSON(c)})
	}
	tries := func(ago int64) *view.Attempt { return &view.Attempt{Version: 4, From: "released", SinceMS: now - ago} }
	failed := &view.Failure{Version: 4, Why: "--exec for version 4: not done after 10m0s (--exec-timeout): " + strings.Repeat("tail of its output ", 8), Times: 3}
	say("paris/gw", view.Consumer{Version: new(uint64(3)), From: "released", Tries: tries(600_000)})
	say("rome/gw", view.Consumer{Tries: tries(7_200_000), Failed: failed})
	say("munich/gw", view.Consumer{Version: new(uint64(3)), From: "released", Failed: failed})
	say("oslo/gw", view.Consumer{Version: new(uint64(3)), From: "released", Tries: tries(600_000)})
	say("berlin/gw", view.Consumer{Version: new(uint64(4)), From: "canary"})
	b.says("#consumers-body", "its command for v4 runs for 10 min", "its command for v4 runs for 2 h 0 min, failed 3 times: --exec for version 4: not done after 10m0s",
		"cannot take v4, tried 3 times: --exec", "offline")
	row := `[...document.querySelectorAll("#consumers-body tr")].find((r) => r.innerText.includes("paris/gw")).querySelector("td:last-child")`
	was := eval[string](b, row+".innerText")
	b.until("the time goes on", row+".innerText !== "+string(mustJSON(was)))
	if bad := eval[bool](b, row+`.classList.contains("bad")`); bad {
		t.Error("a command that runs is no failure")
	}
	b.do("phone", chromedp.EmulateViewport(390, 844))
	if wide := eval[int](b, `document.querySelector("#consumers .scroll").scrollWidth - document.querySelector("#consumers .scroll").clientWidth`); wide > 0 {
		t.Errorf("on a phone the reasons are %d pixels beyond the edge", wide)
	}
	b.quiet("")
}
