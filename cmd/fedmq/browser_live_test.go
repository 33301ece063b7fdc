package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// pull is a trainer whose model is a point: training moves it towards the
// site's own, and the error is how far it is from there.
type pull struct {
	own  []float32
	pace time.Duration // of one training
	err  error
	hung *atomic.Bool // while it is set training does not go on; nil: never
}

func (pull) Samples() int { return 1200 }

func (p pull) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	const steps = 10
	for i := range steps {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(p.pace / steps):
			job.Report(i+1, steps)
		}
		for p.hung != nil && p.hung.Load() && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	out := global.Clone()
	v, err := out.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range v {
		v[i] += (p.own[i] - v[i]) / 4
	}
	return out, out.SetFloat32s("w", v)
}

func (p pull) Evaluate(_ context.Context, _ trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	v, err := global.Float32s("w")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	se := 0.0
	for i := range v {
		se += math.Pow(float64(v[i]-p.own[i]), 2)
	}
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 100, trainer.SumSE: 100 * se / float64(len(v)), trainer.SumLoss: 50 * se}}, nil
}

func runSite(t *testing.T, url, member string, p pull) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(len(member)), uint64(member[0])))
	middle := 6 + 4*r.Float64()
	for range 32 {
		p.own = append(p.own, float32(middle+r.NormFloat64()))
	}
	inBackground(t, func(ctx context.Context) error {
		return site.Run(ctx, site.Config{
			Broker: url, Namespace: "acme", Member: member, DataDir: t.TempDir(), Tasks: []site.Task{{Name: "press-quality", Trainer: p}},
		})
	})
}

func runAggregator(t *testing.T, url string) {
	t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{32}})
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, func(ctx context.Context) error {
		return aggregator.Run(ctx, aggregator.Config{
			Broker: url, Namespace: "acme", DataDir: t.TempDir(),
			Tasks: []aggregator.Task{{
				Name: "press-quality", Members: []string{"+/+"}, Rounds: 400, StartWhen: 9, Quorum: 2,
				Deadline: 10 * time.Second, Init: model.New(schema),
			}},
		})
	})
}

// TestPageLive: the page follows a federation of five real sites, and steers
// it.
func TestPageLive(t *testing.T) {
	chromium(t)
	url := serveBroker(t)
	page := serveDashboard(t, url)
	b := openTab(t, page)
	b.until("no task yet", `document.querySelector("#now-title").textContent.startsWith("No task")`)
	runAggregator(t, url)
	runSite(t, url, "berlin/press-1", pull{pace: 300 * time.Millisecond})
	runSite(t, url, "lyon/press-2", pull{pace: 400 * time.Millisecond})
	b.until("two members", `document.querySelectorAll("#sites-body tr[data-path]").length === 2 && document.querySelector("#phase").textContent === "idle"`)

	refusedCommands(t, page)
	b.do("ask", chromedp.Click(`button[data-op="start"]`), chromedp.WaitVisible(`#ask`),
		chromedp.SendKeys(`#ask-token`, "not the token at all"), chromedp.Click(`#ask-yes`))
	b.until("the wrong token is refused", `document.querySelector("#ask-error").textContent.includes("wrong token") && document.querySelector("#phase").textContent === "idle"`)
	b.do("token", chromedp.SetValue(`#ask-token`, testToken))
	b.until("started, once the aggregator has been connected for 3 s", `(() => {
		const yes = document.querySelector("#ask-yes");
		if (document.querySelector("#ask").open && !yes.disabled) yes.click();
		return !document.querySelector("#ask").open;
	})()`)
	b.until("done", `document.querySelector("#toast").textContent === "press-quality: start: done"`)
	b.until("rounds are recorded, each linked to the one before", `document.querySelectorAll("#records tr").length > 3 && document.querySelectorAll("#records .ok").length > 5`)

	runSite(t, url, "porto/press-3", pull{pace: 600 * time.Millisecond})
	b.until("a curve of fourteen rounds", `document.querySelectorAll("#records tr").length > 14 && document.querySelector("#facts").innerText.includes("better than in round 1")`)
	runSite(t, url, "turin/press-4", pull{pace: 30 * time.Second})
	runSite(t, url, "gdansk/press-5", pull{pace: 200 * time.Millisecond, err: errors.New("sensor 4: no rows since yesterday")})
	b.until("the one that fails, with its reason", `document.querySelector("#sites-body").innerText.includes("no rows since yesterday")`)
	b.do("compare", chromedp.Click(`#sites-body tr[data-path="lyon/press-2"]`), chromedp.WaitVisible(`#compare button`))
	b.until("the one that is late, with its reason", `/late\s+still training/.test(document.querySelector("#sites-body").innerText)`)
	b.picture("dashboard-light.png", 1240, 1400, "light")
	b.picture("dashboard-dark.png", 1240, 1400, "dark")
	b.picture("dashboard-phone.png", 390, 1100, "light")

	b.command("pause")
	b.until("paused", `document.querySelector("#phase").textContent === "paused" && document.querySelector("#headline").textContent.includes("Resume goes on")`)
	b.command("resume")
	b.until("resumed", `document.querySelector("#phase").textContent === "open"`)
	b.command("stop")
	b.until("stopped", `document.querySelector("#phase").textContent === "stopped" && document.querySelector('button[data-op="start"]').disabled === false`)
	b.quiet("/api/command") // the browser's own note of the refused token
}

// command presses a command's button and says yes.
func (b *tab) command(op string) {
	b.t.Helper()
	b.do(op, chromedp.Click(`button[data-op="`+op+`"]`), chromedp.WaitVisible(`#ask[open]`), chromedp.Click(`#ask-yes`))
	b.until(op, `!document.querySelector("#ask").open`)
}

// refusedCommands are requests that no page of the dashboard makes.
func refusedCommands(t *testing.T, page string) {
	t.Helper()
	for _, c := range []struct {
		name, token, origin, kind, body string
		code                            int
	}{
		{"no token", "", "", "application/json", `{"task":"press-quality","command":"start"}`, http.StatusUnauthorized},
		{"another token", strings.ToUpper(testToken), "", "application/json", `{"task":"press-quality","command":"start"}`, http.StatusUnauthorized},
		{"another origin", testToken, "http://evil.example", "application/json", `{"task":"press-quality","command":"start"}`, http.StatusForbidden},
		{"a form", testToken, "", "application/x-www-form-urlencoded", `task=press-quality`, http.StatusUnsupportedMediaType},
		{"no command", testToken, "", "application/json", `{"task":"press-quality","command":"rm"}`, http.StatusBadRequest},
		{"no task", testToken, "", "application/json", `{"task":"nothing","command":"start"}`, http.StatusBadGateway},
		{"refused by the aggregator", testToken, "", "application/json", `{"task":"press-quality","command":"resume"}`, http.StatusConflict},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page+"api/command", bytes.NewBufferString(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Fedmq-Token", c.token)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, answer.StatusCode, said, c.code)
		}
	}
}
