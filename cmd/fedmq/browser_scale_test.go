package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/site"
)

const crowd = 1000

// crowdStatus is what site i of the crowd says in step n.
func crowdStatus(i, n int) link.Message {
	phases := []site.Phase{site.PhaseTraining, site.PhaseTraining, site.PhaseTraining, site.PhaseSending, site.PhaseWaiting}
	p := float64((i*37+n*13)%100) / 100
	st := site.Status{
		Schema: site.StatusSchema, TimestampMS: time.Now().UnixMilli(), Phase: phases[(i+n)%len(phases)], Round: 7, Attempt: 1,
		Progress: &p, Samples: 1000 + i, Metrics: map[string]float64{"rmse": 14 + float64(i%50)/10, "loss": p},
	}
	if i%97 == 0 {
		st.Phase, st.Error = site.PhaseError, "the historian does not answer"
	}
	return link.Message{Topic: crowdTopic(i) + "press-quality/status", Payload: mustJSON(st), QoS: 1, Retained: true}
}

func crowdTopic(i int) string { return fmt.Sprintf("acme/plant-%02d/line-%03d/_fl_v1/", i%25, i) }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// publisher is a bare client.
func publisher(t *testing.T, url string) func(link.Message) {
	t.Helper()
	conn, err := clientFlags{Broker: url}.link(zerolog.Nop(), "crowd", link.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, conn.Run)
	for s := range conn.States() {
		if s.Up {
			break
		}
	}
	return func(m link.Message) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := conn.Publish(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPageCrowd: a thousand sites are there at once, and stay smooth. The bounds
// are far above what is measured, which is printed.
func TestPageCrowd(t *testing.T) {
	chromium(t)
	url := serveBroker(t)
	publish := publisher(t, url)
	publish(link.Message{Topic: "acme/_fl_v1/state", QoS: 1, Retained: true, Payload: mustJSON(map[string]any{
		"schema": "fedmq.state.v1", "online": true, "tasks": []string{"press-quality"}, "security": "unsigned",
	})})
	opened := time.Now().UnixMilli()
	publish(link.Message{Topic: "acme/_fl_v1/press-quality/round", QoS: 1, Retained: true, Payload: mustJSON(map[string]any{
		"schema": "fedmq.round.v1", "timestamp_ms": opened, "epoch": 1, "round": 7, "attempt": 1, "phase": "open", "work": "train",
		"train_rounds": 40, "version": 6, "members": crowd, "cohort": crowd, "accepted": 412, "quorum": 600, "opened_ms": opened, "deadline_ms": 600_000,
		"last": map[string]any{"round": 6, "attempt": 1, "work": "train", "verdict": "committed", "counted": 990, "members": crowd, "seconds": 31.5, "metrics": map[string]float64{"rmse": 15.2, "loss": .4}},
	})})
	page := serveDashboard(t, url)
	b := openTab(t, page) // the dashboard has subscribed when it shows the task
	b.until("the task", `document.querySelector("#now-title").textContent === "Round 7 of 40"`)
	for i := range crowd {
		publish(crowdStatus(i, 0))
	}
	b.until("all sites", fmt.Sprintf(`document.querySelector("#shown").textContent === "%d sites"`, crowd))
	b.do("load again", chromedp.Navigate(page))
	b.until("all sites", fmt.Sprintf(`document.querySelector("#shown").textContent === "%d sites"`, crowd))
	eval[chromedp.Void](b, `performance.clearMeasures("fedmq-update")`)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := range 4 * crowd {
		<-tick.C
		publish(crowdStatus(n%crowd, 1+n/crowd))
	}
	b.until("updates", `performance.getEntriesByName("fedmq-update").length > 10`)

	first := eval[float64](b, `performance.getEntriesByName("fedmq-first")[0].duration`)
	paint := eval[float64](b, `performance.getEntriesByName("first-contentful-paint")[0].startTime`)
	updates := eval[[]float64](b, `performance.getEntriesByName("fedmq-update").map((e) => e.duration)`)
	rows := eval[int](b, `document.querySelectorAll("#sites-body tr[data-path]").length`)
	slices.Sort(updates)
	median, worst := updates[len(updates)/2], updates[len(updates)-1]
	t.Logf("%d sites: first contentful paint %.0f ms, all sites drawn %.0f ms, %d updates, %.0f sites each: median %.1f ms, worst %.1f ms, %d rows in the document",
		crowd, paint, first, len(updates), float64(4*crowd)/float64(len(updates)), median, worst, rows)
	if paint > 5000 || first > 8000 {
		t.Errorf("first paint after %.0f ms, everything after %.0f ms", paint, first)
	}
	if median > 100 {
		t.Errorf("an update takes %.1f ms", median)
	}
	if rows > 60 {
		t.Errorf("%d rows are elements, want those in sight", rows)
	}
	b.picture("dashboard-1000.png", 1240, 1000, "light")
	b.do("filter", chromedp.SendKeys(`#filter`, "historian"))
	b.until("those with a reason", fmt.Sprintf(`document.querySelector("#shown").textContent === "%d of %d sites"`, (crowd+96)/97, crowd))
	b.do("clear", chromedp.Evaluate[chromedp.Void](`const f = document.querySelector("#filter"); f.value = ""; f.dispatchEvent(new Event("input"))`),
		chromedp.Click(`#sites-head th:first-child button`), chromedp.Focus(`#sites-table`), chromedp.KeyEvent(kb.End))
	b.until("the last row, by key", fmt.Sprintf(`document.querySelector("#sites-body").innerText.includes("plant-24/line-%03d")`, crowd-1))
	b.quiet("")
}
